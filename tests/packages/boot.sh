#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the guest of boot.py does: the lab's own provisioning, a visit, an upgrade, a removal and a purge. /mnt holds
# packages and scripts. Each part begins with a line "== name".
ip link set lo up
cd /root && mkdir -m 700 -p packages .ssh && cp /mnt/*.deb packages
echo "== install"
/mnt/collector packages https://localhost:8443 && nsentry-controller token create >token
/mnt/host packages https://localhost:8443 token docker
systemctl is-active nsentry-controller nsentry-sensor
echo "== visit"
mkdir -p image/bin && cp /bin/busybox image/bin && for applet in sh sleep id cat; do ln -s busybox image/bin/$applet; done
tar -C image -c . | docker import - web >/dev/null
docker run -d --network none --name web web sleep 1000
sleep 5
docker exec web sh -c 'id; cat /etc/shadow; sleep 2'
for _ in $(seq 90); do nsentry-controller alerts list --json | grep -q docker-exec && break; sleep 1; done
nsentry-controller alerts list --json
echo "== ssh"
systemctl start ssh && ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519
install -d -m 700 -o vagrant -g vagrant /home/vagrant/.ssh && cat .ssh/id_ed25519.pub >>/home/vagrant/.ssh/authorized_keys
/mnt/ssh-nsenter vagrant@localhost web
for _ in $(seq 60); do nsentry-controller alerts list --json | grep -q ns-join && break; sleep 1; done
nsentry-controller alerts list --json | grep ns-join
echo "== unit"
systemctl show -p NRestarts nsentry-sensor
systemd-analyze security --no-pager nsentry-sensor nsentry-controller | grep -v '✓' | tail -3
ls /sys/fs/bpf/nsentry/*/ | head -3
echo "== upgrade"
before=$(systemctl show -P MainPID nsentry-sensor) identity=$(sha256sum /var/lib/nsentry/sensor/identity.json)
dpkg -i packages/*.deb >/dev/null
systemctl is-active nsentry-controller nsentry-sensor
[ "$before" != "$(systemctl show -P MainPID nsentry-sensor)" ] && echo restarted
[ "$identity" = "$(sha256sum /var/lib/nsentry/sensor/identity.json)" ] && echo kept
echo "== remove"
dpkg --remove nsentry-sensor >/dev/null
systemctl is-active nsentry-sensor
ls -d /sys/fs/bpf/nsentry /var/lib/nsentry/sensor 2>/dev/null
echo "== purge"
dpkg --purge nsentry-sensor nsentry-controller >/dev/null
ls -d /var/lib/nsentry /etc/nsentry /sys/fs/bpf/nsentry 2>/dev/null
echo "== journal"
journalctl --no-pager -u nsentry-sensor -u nsentry-controller | tail -60
