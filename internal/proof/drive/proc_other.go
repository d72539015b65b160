//go:build !linux

package drive

import "syscall"

func procAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
