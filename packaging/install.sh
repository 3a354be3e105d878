#!/bin/sh
# Installs cavra-runtime from the release package that this script lies in.
#
# First the Ed25519 signature of manifest.json is verified with the key that was
# given, then the hash of every file with the manifest, then that of every copy;
# only then do the copies take their places. Nothing of the package is run.
#
# Whoever can change this script can leave all that out: verify an archive with
# cavra-runtime --verify-package, or take this script from where you trust it and
# name the unpacked package with --package.
set -eu
LC_ALL=C
export LC_ALL
umask 022

usage() {
  cat <<'END'
Usage: install.sh --key FILE [--prefix DIR] [--package DIR] [--force]

  --key FILE     the public key of the maker in PEM, or several, got from elsewhere
                 than the package. Variable: PACKAGE_KEY
  --prefix DIR   where to install: DIR/bin, DIR/share. Variable: PREFIX.
                 Default: /usr/local
  --package DIR  the unpacked package. Default: where this script lies
  --force        replace a newer version, or one that does not tell its version

Needs OpenSSL 3, or a cavra-runtime that is installed already.
END
}

# work and staged are removed however this ends. A path in staged ends with a line
# break, since it may hold anything else.
work=
staged=
clear_up() {
  printf '%s' "$staged" | while IFS= read -r left; do
    rm -f -- "$left"
  done
  [ -z "$work" ] || rm -rf -- "$work"
}
trap clear_up EXIT
trap 'exit 1' HUP INT TERM

fail() {
  printf 'install.sh: %s\n' "$1" >&2
  exit "${2:-1}"
}

key=${PACKAGE_KEY:-}
prefix=${PREFIX:-/usr/local}
package=$(dirname -- "$0")
force=false
while [ $# -gt 0 ]; do
  case $1 in
  --help) usage && exit 0 ;;
  --force) force=true && shift ;;
  --key | --prefix | --package)
    [ -n "${2:-}" ] || fail "$1 needs a value; --help says more" 2
    case $1 in
    --key) key=$2 ;;
    --prefix) prefix=$2 ;;
    --package) package=$2 ;;
    esac
    shift 2
    ;;
  *) fail "there is an argument that is not known; --help lists all" 2 ;;
  esac
done

newline='
'
case $prefix in *"$newline"*) fail "--prefix holds a line break" 2 ;; esac
case $prefix in /*) ;; *) prefix=./$prefix ;; esac # since cd takes - for something else
case $package in /*) ;; *) package=./$package ;; esac
[ -n "$key" ] || fail "no key was given, so anybody can have made the package; name the file of the maker's public key with --key" 2
case $key in /*) ;; *) key=./$key ;; esac
[ -f "$key" ] || fail "the key file is not there: $key" 2
package=$(CDPATH='' cd -- "$package" 2>/dev/null && pwd -P) || fail "the package is no directory; unpack the archive first" 2
keydir=$(CDPATH='' cd -- "$(dirname -- "$key")" && pwd -P)
case $keydir/ in "$package"/*) fail "the key lies in the package, where it proves nothing; get it from its maker" 2 ;; esac
key=$keydir/$(basename -- "$key")

for file in manifest.json manifest.sig.json; do
  [ -f "$package/$file" ] || fail "$file is missing; the package is not whole, fetch it again"
done
work=$(mktemp -d)
cp -- "$package/manifest.json" "$package/manifest.sig.json" "$work/"

hash_of() { # FILE
  if command -v sha256sum >/dev/null 2>&1; then
    sha256sum <"$1" | cut -d' ' -f1
  else
    shasum -a 256 <"$1" | cut -d' ' -f1
  fi
}

# verify_with_openssl verifies the copy of the manifest: 0 signed, 1 not, 2 this
# openssl cannot tell.
verify_with_openssl() {
  openssl pkeyutl -help 2>&1 | grep -q -e '-rawin' || return 2
  sed -n 's|^  "signature": "\([A-Za-z0-9+/=]*\)"$|\1|p' "$work/manifest.sig.json" >"$work/base64"
  openssl base64 -d -A -in "$work/base64" -out "$work/signature" 2>/dev/null || return 1
  {
    printf 'cavra.go-runtime.release-manifest.v1\n'
    cat -- "$work/manifest.json"
  } >"$work/signed"
  # One file for each key, since openssl reads only the first of several.
  to=$work/key. awk '/^-----BEGIN PUBLIC KEY-----/ { n++ } n { print > (ENVIRON["to"] n) }' "$key"
  for one in "$work"/key.*; do
    openssl pkey -pubin -in "$one" -noout -text 2>/dev/null | grep -q -i '^ED25519 Public-Key' || continue
    openssl pkey -pubin -in "$one" -outform DER -out "$work/der" 2>/dev/null || continue
    grep -q -x "  \"key_id\": \"sha256:$(hash_of "$work/der")\"," "$work/manifest.sig.json" || continue
    openssl pkeyutl -verify -rawin -pubin -inkey "$one" -sigfile "$work/signature" -in "$work/signed" >/dev/null 2>&1 && return 0
  done
  return 1
}

result=0
verify_with_openssl || result=$?
if [ "$result" = 2 ]; then
  installed=$(command -v cavra-runtime) || fail "neither OpenSSL 3 nor an installed cavra-runtime is there to verify the package with; install one of them"
  case $(readlink -f -- "$installed" 2>/dev/null || printf '%s' "$installed") in
  "$package"/*) fail "there is no OpenSSL 3, and the cavra-runtime in PATH lies in the package, so it proves nothing; install one of either" ;;
  esac
  # A copy is verified, and installed from, that nobody else can change meanwhile.
  cp -R -P -- "$package" "$work/package" || fail "the package cannot be copied to be verified; is the disk of ${TMPDIR:-/tmp} full?"
  package=$work/package
  cp -- "$package/manifest.json" "$work/"
  result=0
  "$installed" --verify-package "$package" --package-key "$key" >/dev/null 2>&1 || result=$?
  [ "$result" != 2 ] || fail "there is no OpenSSL 3, and the installed cavra-runtime is too old to verify a package; install a newer one of either"
fi
[ "$result" = 0 ] || fail "the manifest is not signed by the given key: it was changed, or the key is another's; nothing was installed"

# From here on the manifest can be believed, and its paths need no quoting.
version=$(sed -n 's/^  "version": "\(v[0-9][0-9A-Za-z.-]*\)",$/\1/p' "$work/manifest.json")
awk -F'"' '$2 == "path" { path = $4 } $2 == "sha256" { print $4 "  " path }' "$work/manifest.json" >"$work/sums"
if [ -z "$version" ] || [ ! -s "$work/sums" ]; then
  fail "the manifest is signed, and this script cannot read it; it is for another version"
fi

while read -r sum file; do
  [ -f "$package/$file" ] || fail "$file is missing; the package is not whole, fetch it again"
  [ "$(hash_of "$package/$file")" = "$sum" ] || fail "$file is not what was signed; nothing was installed, fetch the package again"
done <"$work/sums"

case $(uname -s) in
Linux) os=linux ;;
Darwin) os=darwin ;;
*) fail "there is no binary for $(uname -s) that this script installs" ;;
esac
case $(uname -m) in
x86_64 | amd64) arch=amd64 ;;
aarch64 | arm64) arch=arm64 ;;
*) fail "there is no binary for the processor $(uname -m)" ;;
esac
grep -q "  bin/$os-$arch/cavra-runtime\$" "$work/sums" || fail "the package has no binary for $os-$arch"

# newer reports whether the semantic version $1 is newer than $2.
newer() {
  awk -v a="$1" -v b="$2" '
    function compare(x, y) { # two identifiers
      if (x ~ /^[0-9]+$/ && y ~ /^[0-9]+$/) return (x + 0 > y + 0) - (x + 0 < y + 0)
      if (x ~ /^[0-9]+$/) return -1
      if (y ~ /^[0-9]+$/) return 1
      return (x "" > y "") - (x "" < y "")
    }
    BEGIN {
      sub(/\+.*/, "", a); sub(/\+.*/, "", b)
      ap = a; if (!sub(/^[^-]*-/, "", ap)) ap = ""
      bp = b; if (!sub(/^[^-]*-/, "", bp)) bp = ""
      sub(/-.*/, "", a); sub(/-.*/, "", b)
      split(substr(a, 2), an, "."); split(substr(b, 2), bn, ".")
      for (i = 1; i <= 3; i++) if (c = compare(an[i], bn[i])) exit c <= 0
      if (ap == "" || bp == "") exit !(ap == "" && bp != "")
      n = split(ap, an, "."); m = split(bp, bn, ".")
      for (i = 1; i <= n && i <= m; i++) if (c = compare(an[i], bn[i])) exit c <= 0
      exit n <= m
    }'
}

mkdir -p -- "$prefix" 2>/dev/null || fail "the directory $prefix cannot be made; run this as who may, or choose another with --prefix"
prefix=$(CDPATH='' cd -- "$prefix" && pwd)
before=
if [ -e "$prefix/bin/cavra-runtime" ]; then
  before=$("$prefix/bin/cavra-runtime" --version 2>/dev/null | sed -n 's/^cavra-runtime \(v[0-9]*\.[0-9]*\.[0-9][0-9A-Za-z.+-]*\) .*/\1/p') || before=
  if [ "$force" = false ]; then
    [ -n "$before" ] || fail "$prefix/bin/cavra-runtime does not tell its version; --force replaces it"
    ! newer "$before" "$version" || fail "$prefix/bin/cavra-runtime is $before, and newer than $version; --force replaces it"
  fi
fi

# stage copies a file of the package, if it has it, beside the place that it will
# take, and checks the copy.
stage() { # FILE, DIRECTORY, NAME, MODE
  sum=$(awk -v file="$1" '$2 == file { print $1 }' "$work/sums")
  [ -n "$sum" ] || return 0
  cannot="$prefix/$2 cannot be written to; run this as who may, or choose another directory with --prefix"
  mkdir -p -- "$prefix/$2" 2>/dev/null || fail "$cannot"
  copy=$(mktemp "$prefix/$2/.cavra-XXXXXX" 2>/dev/null) || fail "$cannot"
  staged=$staged$copy$newline
  [ ! -d "$prefix/$2/$3" ] || fail "$prefix/$2/$3 is a directory; move it away"
  cat -- "$package/$1" >"$copy" || fail "$prefix/$2 cannot be written to; is the disk full?"
  [ "$(hash_of "$copy")" = "$sum" ] || fail "the copy of $1 is not what was signed; nothing was installed"
  chmod "$4" "$copy"
  printf '%s\n%s\n' "$copy" "$prefix/$2/$3" >>"$work/moves"
}
stage "bin/$os-$arch/cavra-runtime" bin cavra-runtime 0755
stage completions/cavra-runtime.bash share/bash-completion/completions cavra-runtime 0644
stage completions/_cavra-runtime share/zsh/site-functions _cavra-runtime 0644
stage completions/cavra-runtime.fish share/fish/vendor_completions.d cavra-runtime.fish 0644
stage man/cavra-runtime.1 share/man/man1 cavra-runtime.1 0644

quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

remove='rm'
while IFS= read -r copy && IFS= read -r place; do
  mv -f -- "$copy" "$place"
  printf 'installed %s\n' "$place"
  remove="$remove $(quoted "$place")"
done <"$work/moves"
printf 'cavra-runtime %s for %s-%s is installed%s, verified with %s.\n' "$version" "$os" "$arch" "${before:+ in the place of $before}" "$key"
printf 'To uninstall it: %s\n' "$remove"
case :$PATH: in
*":$prefix/bin:"*) ;;
*) printf 'Add %s to PATH to run it by its name.\n' "$prefix/bin" ;;
esac
