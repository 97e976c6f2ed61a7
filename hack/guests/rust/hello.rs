// hello [NAME...]: greets each name, and the world if there is none. With the argument "fail" it fails.
fn main() {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        names.push("world".into());
    }
    for name in names {
        if name == "fail" {
            std::process::exit(3);
        }
        println!("hello, {name}, from Rust");
    }
}
