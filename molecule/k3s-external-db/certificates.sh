#!/bin/sh
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# certificates.sh DIRECTORY ADDRESS
# Create a CA, a server certificate for the address, a client certificate, and a file with the address.
set -eu
umask 077
cd "$1"
echo "$2" >address

make() { # NAME ARGUMENTS
    name=$1
    shift
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$name" -keyout "$name.key" -out "$name.crt" "$@" 2>/dev/null
}

make ca -addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign
make client -CA ca.crt -CAkey ca.key -addext basicConstraints=CA:false -addext extendedKeyUsage=clientAuth
make server -CA ca.crt -CAkey ca.key -addext basicConstraints=CA:false -addext extendedKeyUsage=serverAuth,clientAuth -addext "subjectAltName=IP:$2"
