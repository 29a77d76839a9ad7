package main

import (
	"structs"
	"unsafe"
)

const (
	firstGiven = 3
	folderTag  = 0
)

type prestat struct {
	_      structs.HostLayout
	tag    uint32
	length uint32
}

//go:wasmimport wasi_snapshot_preview1 fd_prestat_get
//go:noescape
func fdPrestatGet(fd int32, out *prestat) uint32

//go:wasmimport wasi_snapshot_preview1 fd_prestat_dir_name
//go:noescape
func fdPrestatDirName(fd int32, name unsafe.Pointer, length uint32) uint32

// givenFolders are the folders that the host gives: there may be no root above them.
func givenFolders() (folders []string) {
	for fd := int32(firstGiven); ; fd++ {
		var seen prestat
		if fdPrestatGet(fd, &seen) != 0 {
			return folders
		}
		name := make([]byte, seen.length)
		if seen.tag != folderTag || seen.length == 0 ||
			fdPrestatDirName(fd, unsafe.Pointer(&name[0]), seen.length) != 0 {
			continue
		}
		folders = append(folders, string(name))
	}
}
