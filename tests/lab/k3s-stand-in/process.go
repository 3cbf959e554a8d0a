// Copyright: (c) 2026, kubewright contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// In K3s these programs are one process: if one ends, all end, and systemd restarts it. Here each one is a child
// process that the kernel kills when this one ends.
type process struct {
	name  string
	cmd   *exec.Cmd
	done  chan struct{}
	err   error
	watch func(line string)
	soft  bool // it may end without being a failure
	log   io.WriteCloser
}

var (
	binDir    string
	stopping  atomic.Bool
	processes struct {
		sync.Mutex
		all []*process
	}
)

type option func(*process)

func inDirectory(dir string) option      { return func(p *process) { p.cmd.Dir = dir } }
func withEnv(env ...string) option       { return func(p *process) { p.cmd.Env = append(p.cmd.Env, env...) } }
func watching(watch func(string)) option { return func(p *process) { p.watch = watch } }
func mayEnd() option                     { return func(p *process) { p.soft = true } }
func withSignal(sig syscall.Signal) option {
	return func(p *process) { p.cmd.SysProcAttr.Pdeathsig = sig }
}

// loggingTo writes a program's output to a file instead of the journal.
func loggingTo(path string) option {
	return func(p *process) {
		if file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err == nil {
			p.log = file
		}
	}
}

// start runs a program of the payload. When it ends, everything ends.
func start(program string, args []string, options ...option) *process {
	p := &process{name: program, done: make(chan struct{}), cmd: exec.Command(filepath.Join(binDir, program), args...), log: os.Stderr}
	p.cmd.Env = os.Environ()
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	for _, option := range options {
		option(p)
	}
	infof("Running %s %s", program, strings.Join(hidden(args), " "))
	processes.Lock()
	processes.all = append(processes.all, p)
	processes.Unlock()
	begun := make(chan struct{})
	go p.keep(begun)
	<-begun
	return p
}

// hidden keeps database passwords out of the log. K3s writes "<REDACTED>" too.
func hidden(args []string) []string {
	shown := append([]string{}, args...)
	for i, arg := range shown {
		if strings.Contains(arg, "://") && strings.Contains(arg, "@") {
			shown[i] = "<REDACTED>"
		}
	}
	return shown
}

// keep locks its OS thread: the kernel's parent death signal is sent when the thread that started the child ends.
func (p *process) keep(begun chan struct{}) {
	runtime.LockOSThread()
	defer close(p.done)
	output, input := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = input, input
	go p.copy(output)
	p.err = p.cmd.Start()
	close(begun)
	if p.err == nil {
		p.err = p.cmd.Wait()
	}
	input.Close()
	if !stopping.Load() && !p.soft {
		time.Sleep(100 * time.Millisecond)
		fatalf("%s exited: %v", p.name, p.err)
	}
}

func (p *process) copy(output io.Reader) {
	lines := bufio.NewReader(output)
	for {
		line, err := lines.ReadString('\n')
		if p.watch != nil && line != "" {
			p.watch(line)
		}
		_, _ = io.WriteString(p.log, line)
		if err != nil {
			return
		}
	}
}

func (p *process) signal(sig syscall.Signal) {
	if p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(sig)
	}
}

// end stops a process: it sends SIGTERM, waits, and then kills it.
func (p *process) end(patience time.Duration) {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
		p.signal(syscall.SIGKILL)
		<-p.done
	}
}

// atStop closes all client connections. K3s is one process, so its listener ends with its API server.
var atStop = func() error { return nil }

// stopAll stops all programs: the datastore after its clients, containerd last. Shims and pods keep running, as
// docs.k3s.io/upgrades/killall describes.
func stopAll() {
	stopping.Store(true)
	_ = atStop()
	processes.Lock()
	defer processes.Unlock()
	patience := map[string]time.Duration{"etcd": 10 * time.Second, "kine": 5 * time.Second, "containerd": 10 * time.Second}
	var first, last sync.WaitGroup
	for _, p := range processes.all {
		if patience[p.name] == 0 {
			first.Add(1)
			go func() { defer first.Done(); p.end(3 * time.Second) }()
		}
	}
	first.Wait()
	for _, p := range processes.all {
		if patience[p.name] != 0 {
			last.Add(1)
			go func() { defer last.Done(); p.end(patience[p.name]) }()
		}
	}
	last.Wait()
}

// once runs a program of the payload and waits until it ends.
func once(program string, args ...string) ([]byte, error) {
	cmd := exec.Command(filepath.Join(binDir, program), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd.CombinedOutput()
}
