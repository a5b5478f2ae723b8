# SPDX-License-Identifier: Apache-2.0
"""docker_api.py SOCKET CONTAINER COMMAND...: an exec by Docker's API, without its command line client."""

import http.client
import json
import socket
import sys


def call(path, method, body):
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(path)
    connection.request(*method, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    if answer.status >= 300:
        sys.exit(f"{method}: {answer.status} {data!r}")
    return data


path, container, *command = sys.argv[1:]
made = call(path, ("POST", f"/containers/{container}/exec"), {"AttachStdout": True, "Cmd": command})
call(path, ("POST", f"/exec/{json.loads(made)['Id']}/start"), {"Detach": False})
