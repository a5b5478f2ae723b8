# SPDX-License-Identifier: Apache-2.0
"""deb and rpm of sensor and controller. `make packages` builds them into build/packages.

It lives beside the lab because it is, like the lab, no part of the product: it reads what the product says of
itself (commands, settings) and puts it where a distribution expects it. The lab installs what it made.

    trees.py    the files of each package, laid out as on the host
    pinned.py   the Python packages that the controller carries, by the digests of requirements.lock
    manual.py   man pages, from the click commands
    told.py     completions, from click; commented configuration, from the sensor's own table
    nfpm.py     the trees become packages
    files/      what is kept as it is: units, scripts, configuration of the controller, the image
"""
