//! The `#[protection_domain]` attribute of sel4-microkit.

use proc_macro::{TokenStream, TokenTree};

/// Makes a function the start of a protection domain. It runs once, and returns the `Handler` of everything after.
///
/// Arguments, in either order: `heap_size = BYTES` gives the program a global allocator; `stack_size = BYTES` is the
/// least stack that the system description must give.
///
#[proc_macro_attribute]
pub fn protection_domain(attr: TokenStream, item: TokenStream) -> TokenStream {
    let Some(name) = function_name(item.clone()) else {
        return error("#[protection_domain] belongs on a function");
    };
    let arguments = attr.to_string();
    let declaration = format!("::sel4_microkit::declare_protection_domain! {{ init = {name}, {arguments} }}");
    let Ok(mut output) = declaration.parse::<TokenStream>() else {
        return error("the arguments of #[protection_domain] are heap_size = BYTES and stack_size = BYTES");
    };
    output.extend(item);
    output
}

/// The identifier behind the item's first `fn` outside of any brackets.
fn function_name(item: TokenStream) -> Option<String> {
    let mut tokens = item.into_iter();
    tokens.find(|token| matches!(token, TokenTree::Ident(word) if word.to_string() == "fn"))?;
    match tokens.next()? {
        TokenTree::Ident(name) => Some(name.to_string()),
        _ => None,
    }
}

fn error(message: &str) -> TokenStream {
    format!("::core::compile_error!({message:?});").parse().unwrap_or_default()
}
