//go:build !wasip1

package main

func givenFolders() []string { return nil }
