// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Pack files with Zstandard: programs appended to the stand-in's executable, or a single file.
//
//	pack k3s STUB TARGET FILE...
//	pack file SOURCE TARGET
package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

const magic = "kubewright-k3s-1" // payload.go looks for it

func main() {
	err := errors.New("usage: pack k3s STUB TARGET FILE... | pack file SOURCE TARGET")
	if len(os.Args) > 4 && os.Args[1] == "k3s" {
		err = packProgram(os.Args[2], os.Args[3], os.Args[4:])
	} else if len(os.Args) == 4 && os.Args[1] == "file" {
		err = packFile(os.Args[2], os.Args[3])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func compressor(target io.Writer) (*zstd.Encoder, error) {
	return zstd.NewWriter(target, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(2))
}

func packFile(source, target string) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(target)
	if err != nil {
		return err
	}
	packed, err := compressor(out)
	if err != nil {
		return err
	}
	_, err = io.Copy(packed, in)
	return errors.Join(err, packed.Close(), out.Close())
}

// packProgram writes the stub, the archive, its length, its digest and the mark.
func packProgram(stub, target string, files []string) error {
	out, err := os.OpenFile(target, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	defer out.Close()
	in, err := os.Open(stub)
	if err != nil {
		return err
	}
	defer in.Close()
	begin, err := io.Copy(out, in)
	if err != nil {
		return err
	}
	digest := sha256.New()
	packed, err := compressor(io.MultiWriter(out, digest))
	if err != nil {
		return err
	}
	archive := tar.NewWriter(packed)
	for _, path := range files {
		if err := add(archive, path); err != nil {
			return err
		}
	}
	if err := errors.Join(archive.Close(), packed.Close()); err != nil {
		return err
	}
	end, err := out.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	trailer := binary.BigEndian.AppendUint64(nil, uint64(end-begin))
	_, err = out.Write(append(digest.Sum(trailer), magic...))
	return err
}

// add writes a program without time and owner, so that archives are reproducible.
func add(archive *tar.Writer, path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Name: filepath.Base(path), Mode: 0o755, Size: info.Size(), Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err = io.Copy(archive, in)
	return err
}
