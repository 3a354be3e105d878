package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/release"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/release/releasetest"
)

func TestVerifyPackage(t *testing.T) {
	dir, key := releasetest.Write(t, "v0.1.0", "binary")
	_, other := releasetest.Write(t, "v0.1.0", "binary")
	both := filepath.Join(t.TempDir(), "both.pub")
	var keys []byte
	for _, f := range []string{other, key} {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, text...)
	}
	if err := os.WriteFile(both, keys, 0o600); err != nil {
		t.Fatal(err)
	}
	tampered, tamperedKey := releasetest.Write(t, "v0.1.0", "binary")
	if err := os.WriteFile(filepath.Join(tampered, releasetest.Wrapper), []byte("#!/bin/SH\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	linked, beside := filepath.Join(t.TempDir(), "linked"), dir+".pub"
	if err := os.Symlink(dir, linked); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(beside, keys, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		kind string // of the first error in the report, if any
		says string // on standard error, where there is no report
	}{
		{"valid", []string{"--verify-package", dir, "--package-key", key}, exitOK, "", ""},
		{"several keys", []string{"--verify-package", dir, "--package-key", both}, exitOK, "", ""},
		{"another key", []string{"--verify-package", dir, "--package-key", other}, exitFailed, release.KindSignature, ""},
		{"a changed file", []string{"--verify-package", tampered, "--package-key", tamperedKey}, exitFailed, release.KindChanged, ""},
		{"no package", []string{"--verify-package", dir + "x", "--package-key", key}, exitFailed, release.KindRead, ""},
		{"no key file", []string{"--verify-package", dir, "--package-key", key + "x"}, exitFailed, "", "no such file"},
		{"no key in the file", []string{"--verify-package", dir, "--package-key", filepath.Join(tampered, releasetest.Wrapper)}, exitFailed, "", "no file of Ed25519 public keys"},
		{"the package's own key", []string{"--verify-package", dir, "--package-key", filepath.Join(dir, releasetest.Wrapper)}, exitFailed, "", "lies in the package"},
		{"the package's own key, linked to", []string{"--verify-package", linked, "--package-key", filepath.Join(dir, releasetest.Wrapper)}, exitFailed, "", "lies in the package"},
		{"a key beside a package of the same beginning", []string{"--verify-package", dir, "--package-key", beside}, exitOK, "", ""},
		{"no key", []string{"--verify-package", dir}, exitUsage, "", "--package-key"},
		{"a key alone", []string{"--package-key", key}, exitUsage, "", "goes with --verify-package"},
		{"a package alone", []string{"--package", dir, "--package-key", key}, exitUsage, "", "goes with --readiness"},
		{"readiness without a key", []string{"--readiness", "--package", dir}, exitUsage, "", "--package-key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(c.args, strings.NewReader(""), &stdout, &stderr)
			if code != c.code || !strings.Contains(stderr.String(), c.says) || (c.says == "") != (stderr.Len() == 0) {
				t.Fatalf("it ends with %d and says %q; want %d and %q", code, stderr.String(), c.code, c.says)
			}
			if c.says != "" {
				if stdout.Len() > 0 {
					t.Errorf("it prints %s", stdout.String())
				}
				return
			}
			var r release.Report
			if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
				t.Fatal(err)
			}
			if r.Valid != (c.code == exitOK) || c.kind != "" && r.Errors[0].Kind != c.kind {
				t.Errorf("the report is %s", stdout.String())
			}
		})
	}
}

func TestReadinessVerifiesThePackage(t *testing.T) {
	dir, key := releasetest.Write(t, "v0.1.0", "binary")
	c := &cli{Package: dir, PackageKey: key}
	if check := c.readyPackage(); check.Status != checkPass || !strings.Contains(check.Message, "v0.1.0") {
		t.Errorf("a valid package: %+v", check)
	}
	if err := os.Remove(filepath.Join(dir, releasetest.Wrapper)); err != nil {
		t.Fatal(err)
	}
	if check := c.readyPackage(); check.Status != checkFail || !strings.Contains(check.Message, releasetest.Wrapper) || check.Action == "" {
		t.Errorf("a package without a file: %+v", check)
	}
	c.PackageKey += "x"
	if check := c.readyPackage(); check.Status != checkFail {
		t.Errorf("a package without a key: %+v", check)
	}
	if check := (&cli{}).readyPackage(); check.Status != checkSkipped {
		t.Errorf("no package: %+v", check)
	}
}
