package drive

import "syscall"

// procAttr also ends the hub when this process is killed: a throwaway hub must not outlive who threw it.
func procAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
