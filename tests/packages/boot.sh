#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the guest of boot.py does: the lab's own provisioning, visits, an upgrade, a removal and a purge. /mnt holds
# packages and scripts, /mnt/next the same packages as a later version. Each part begins with a line "== name".
# systemd.run leads to a target of its own. What else a machine starts, and the end of "nobody but root may log in"
# (/run/nologin), belong to the usual one.
systemctl start multi-user.target
cd /root && mkdir -m 700 -p packages .ssh && cp /mnt/*.deb packages
enabled() { find /etc/systemd -name '*nsentry*' -printf '%f enabled\n' | sort; }
said() { nsentry-controller alerts list --json | grep "$1"; }
seen() { nsentry-controller entries list --json --limit 500 | grep -o "$1" | head -1 | grep .; }
wait_for() { for _ in $(seq 150); do "$@" >/dev/null && return; sleep 1; done; }
echo "== install"
/mnt/collector packages https://localhost:8443 && nsentry-controller token create >/root/token
apt-get -qq -y --no-install-recommends install ./packages/nsentry-sensor_*.deb
systemctl start nsentry-sensor # nobody enrolled it
enabled && systemctl is-active nsentry-controller nsentry-sensor
echo "== enrolled"
/mnt/host packages https://localhost:8443 token docker
enabled && systemctl is-active nsentry-controller nsentry-sensor
echo "== visit"
mkdir -p image/bin && cp /bin/busybox image/bin && for applet in sh sleep id cat echo; do ln -s busybox image/bin/$applet; done
tar -C image -c . | docker import - web >/dev/null
docker run -d --network none --name web web sleep 10000
sleep 5
docker exec web sh -c 'id; cat /etc/shadow; sleep 2'
wait_for said docker-exec
said docker-exec
echo "== ssh"
systemctl start ssh && ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519
install -d -m 700 -o vagrant -g vagrant /home/vagrant/.ssh && cat .ssh/id_ed25519.pub >>/home/vagrant/.ssh/authorized_keys
/mnt/ssh-nsenter vagrant@localhost web
wait_for said ns-join
said ns-join
echo "== degraded"
nsentry-sensor status | grep DEGRADED
echo "== unit"
systemctl show -p NRestarts nsentry-sensor
systemd-analyze security --no-pager nsentry-sensor nsentry-controller | grep -v '✓' | tail -3
find /sys/fs/bpf/nsentry -mindepth 2 -printf '%f\n' | head -3
echo "== upgrade"
identity=$(sha256sum /var/lib/nsentry/sensor/identity.json)
for program in controller sensor; do
	before=$(systemctl show -P MainPID nsentry-$program)
	if [ $program = sensor ]; then # nobody takes what it says: it has to keep that over its own upgrade
		systemctl stop nsentry-controller
		docker exec web echo kept-in-the-spool >/dev/null
		sleep 10
	fi
	dpkg -i /mnt/next/$program.deb >/dev/null
	dpkg-query -W -f '${Package} ${Version}\n' nsentry-$program
	systemctl is-active nsentry-$program
	[ "$before" != "$(systemctl show -P MainPID nsentry-$program)" ] && echo restarted
done
[ "$identity" = "$(sha256sum /var/lib/nsentry/sensor/identity.json)" ] && echo the same identity
wait_for nsentry-sensor status 2>/dev/null
docker exec web echo after-the-upgrade >/dev/null
systemctl start nsentry-controller
wait_for seen after-the-upgrade && wait_for seen kept-in-the-spool
seen 'kept-in-the-spool'
seen 'after-the-upgrade'
echo "== remove"
dpkg --remove nsentry-sensor >/dev/null
systemctl is-active nsentry-sensor
ls -d /sys/fs/bpf/nsentry /var/lib/nsentry/sensor 2>/dev/null
echo "== purge"
dpkg --purge nsentry-sensor nsentry-controller >/dev/null
ls -d /var/lib/nsentry /etc/nsentry /sys/fs/bpf/nsentry /usr/lib/nsentry 2>/dev/null
enabled
echo "== journal"
journalctl --no-pager -u nsentry-sensor -u nsentry-controller | tail -60
