package main

// A node finds out by these exports which commands the module answers to. Nobody calls them.

//go:wasmexport tool:[
func tool_bracket() {}

//go:wasmexport tool:cat
func tool_cat() {}

//go:wasmexport tool:echo
func tool_echo() {}

//go:wasmexport tool:env
func tool_env() {}

//go:wasmexport tool:false
func tool_false() {}

//go:wasmexport tool:grep
func tool_grep() {}

//go:wasmexport tool:head
func tool_head() {}

//go:wasmexport tool:ls
func tool_ls() {}

//go:wasmexport tool:pwd
func tool_pwd() {}

//go:wasmexport tool:sh
func tool_sh() {}

//go:wasmexport tool:sleep
func tool_sleep() {}

//go:wasmexport tool:tail
func tool_tail() {}

//go:wasmexport tool:tar
func tool_tar() {}

//go:wasmexport tool:test
func tool_test() {}

//go:wasmexport tool:true
func tool_true() {}

//go:wasmexport tool:wc
func tool_wc() {}
