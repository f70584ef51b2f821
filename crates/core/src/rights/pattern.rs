//! Patterns: texts in which `*` stands for any run of characters, `?` for one, and `${key}` for what the request says.
//!
//! Owns their reading and matching, in at most pattern × text steps. A variable's value is taken as it is: a `*` in it is a star.
//! Must never match what a variable leaves open: one without a value and without a default matches nothing.

use super::Context;
use super::document::BadPolicy;

/// A text with wildcards, variables or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    One(Token),
    Variable { key: String, default: Option<String> },
}

/// What one character of a text is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Exactly(char),
    Any,
    Run,
}

/// What a pattern's text may hold besides characters that stand for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signs {
    /// `*` and `?`.
    pub wildcards: bool,
    /// `${…}`, which policies of 2008-10-17 do not have.
    pub variables: bool,
}

/// A pattern with its variables filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled(Vec<Token>);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// A `${` without its `}`, or one that names nothing.
    pub fn read(text: &str, signs: Signs) -> Result<Self, BadPolicy> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("${").filter(|_| signs.variables) {
                let (named, after) = after.split_once('}').ok_or_else(|| BadPolicy::variable(text))?;
                pieces.push(variable(named).ok_or_else(|| BadPolicy::variable(text))?);
                rest = after;
                continue;
            }
            pieces.push(Piece::One(match c {
                '*' if signs.wildcards => Token::Run,
                '?' if signs.wildcards => Token::Any,
                c => Token::Exactly(c),
            }));
            rest = &rest[c.len_utf8()..];
        }
        Ok(Self(pieces))
    }

    /// The pattern for this request; `None` if a variable has no value, or more than one.
    #[must_use]
    pub fn filled(&self, context: &Context) -> Option<Filled> {
        let mut tokens = Vec::with_capacity(self.0.len());
        for piece in &self.0 {
            match piece {
                Piece::One(token) => tokens.push(*token),
                Piece::Variable { key, default } => {
                    let value = match context.values(key) {
                        Some([value]) => value,
                        Some([]) | None => default.as_ref()?,
                        Some(_) => return None,
                    };
                    tokens.extend(value.chars().map(Token::Exactly));
                }
            }
        }
        Some(Filled(tokens))
    }

    /// Whether it matches for this request, case and all.
    #[must_use]
    pub fn matches(&self, text: &str, context: &Context) -> bool {
        self.filled(context).is_some_and(|filled| filled.matches(text))
    }
}

impl Filled {
    /// Whether it matches the whole of a text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        run(&self.0, &text, same)
    }

    /// The same without regard to case.
    #[must_use]
    pub fn matches_any_case(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        run(&self.0, &text, |a, b| a == b || a.to_lowercase().eq(b.to_lowercase()))
    }

    /// Whether it matches an ARN, each of the six parts for itself: no wildcard reaches over one of the first five colons.
    #[must_use]
    pub fn matches_arn(&self, text: &str) -> bool {
        let colon = |token: &Token| *token == Token::Exactly(':');
        let tokens: Vec<&[Token]> = self.0.splitn(6, colon).collect();
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let fits = |(tokens, part): (&&[Token], &&str)| run(tokens, &part.chars().collect::<Vec<_>>(), same);
        tokens.len() == 6 && parts.len() == 6 && tokens.iter().zip(&parts).all(fits)
    }
}

/// `key`, `key, 'default'`, or one of the three signs that stand for themselves.
fn variable(named: &str) -> Option<Piece> {
    if let "*" | "?" | "$" = named {
        return named.chars().next().map(|c| Piece::One(Token::Exactly(c)));
    }
    let (key, default) = match named.split_once(',') {
        None => (named, None),
        Some((key, default)) => {
            let default = default.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            (key, Some(default.to_owned()))
        }
    };
    let key = key.trim();
    let is_plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || ":/-_.+=@".contains(c));
    is_plain.then(|| Piece::Variable { key: key.to_ascii_lowercase(), default })
}

fn same(a: char, b: char) -> bool {
    a == b
}

/// The usual walk: a run takes nothing at first, and one more each time that what follows it fails. Only the last run needs
/// to be gone back to.
fn run(tokens: &[Token], text: &[char], same: impl Fn(char, char) -> bool) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while read < text.len() {
        match tokens.get(at) {
            Some(Token::Run) => {
                back = Some((at + 1, read));
                at += 1;
            }
            Some(Token::Any) => (at, read) = (at + 1, read + 1),
            Some(Token::Exactly(c)) if same(*c, text[read]) => (at, read) = (at + 1, read + 1),
            _ => {
                let Some((after, taken)) = back else { return false };
                back = Some((after, taken + 1));
                (at, read) = (after, taken + 1);
            }
        }
    }
    tokens[at..].iter().all(|token| *token == Token::Run)
}
