// Says hello to its arguments; with none, to the world. Ends with the exit code in $EXIT_CODE.
use std::{env, process};

fn main() {
    let names: Vec<String> = env::args().skip(1).collect();
    if names.is_empty() {
        println!("Hello, world, from Rust");
    }
    for name in names {
        println!("Hello, {name}, from Rust");
    }
    let code = env::var("EXIT_CODE").ok().and_then(|text| text.parse().ok());
    process::exit(code.unwrap_or(0));
}
