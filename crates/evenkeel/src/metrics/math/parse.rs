//! From text to expressions.
//!
//! A hand-written descent, a function a level of binding. Must never look at values. Next: [`super::eval`].

use super::{BadExpression, MOST_CHARACTERS};

/// How deep parentheses, functions and signs may be in each other.
pub const MOST_DEPTH: usize = 64;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A number as it is written.
    Number(f64),
    /// A text in quotes.
    Text(String),
    /// The id of another query, or `LINEAR` and `REPEAT`.
    Name(String),
    /// `-` before something.
    Negated(Box<Expression>),
    /// Two sides and what is between.
    Binary(Operator, Box<Expression>, Box<Expression>),
    /// A function and its arguments.
    Call(String, Vec<Expression>),
    /// `[a, b]`.
    Array(Vec<Expression>),
}

/// What stands between two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Operator {
    Or,
    And,
    Equal,
    Unequal,
    AtMost,
    AtLeast,
    Less,
    Greater,
    Plus,
    Minus,
    Times,
    Over,
    Power,
}

/// Operators by how tightly they bind, loosest first; of those that begin alike the longer one first.
const LEVELS: [&[(&str, Operator)]; 6] = [
    &[("||", Operator::Or), ("OR", Operator::Or)],
    &[("&&", Operator::And), ("AND", Operator::And)],
    &[("==", Operator::Equal), ("!=", Operator::Unequal)],
    &[("<=", Operator::AtMost), (">=", Operator::AtLeast), ("<", Operator::Less), (">", Operator::Greater)],
    &[("+", Operator::Plus), ("-", Operator::Minus)],
    &[("*", Operator::Times), ("/", Operator::Over)],
];

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, BadExpression> {
        if text.chars().count() > MOST_CHARACTERS {
            return Err(BadExpression(format!("it is longer than {MOST_CHARACTERS} characters")));
        }
        let mut source = Source { text, at: 0, depth: 0 };
        let expression = source.level(0)?;
        source.skip();
        match source.rest().chars().next() {
            None => Ok(expression),
            Some(_) => Err(source.unexpected()),
        }
    }

    /// Calls `see` with every name in it, and whether it asks for all metrics.
    pub fn names(&self, see: &mut impl FnMut(&str)) {
        match self {
            Self::Name(name) => see(name),
            Self::Negated(inside) => inside.names(see),
            Self::Binary(_, left, right) => {
                left.names(see);
                right.names(see);
            }
            Self::Call(_, arguments) | Self::Array(arguments) => arguments.iter().for_each(|each| each.names(see)),
            Self::Number(_) | Self::Text(_) => {}
        }
    }
}

struct Source<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Source<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn unexpected(&self) -> BadExpression {
        match self.rest().chars().next() {
            Some(found) => {
                BadExpression(format!("Unexpected '{found}' at character {}", self.text[..self.at].chars().count() + 1))
            }
            None => BadExpression("Unexpected end of it".into()),
        }
    }

    fn take(&mut self, wanted: &str) -> bool {
        self.skip();
        let is_there = self.rest().starts_with(wanted);
        if is_there {
            self.at += wanted.len();
        }
        is_there
    }

    fn need(&mut self, wanted: &str) -> Result<(), BadExpression> {
        if self.take(wanted) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn operator(&mut self, level: &[(&str, Operator)]) -> Option<Operator> {
        self.skip();
        let rest = self.rest();
        let is_there = |text: &str| {
            let after = rest.strip_prefix(text).map(|after| after.chars().next().unwrap_or(' '));
            // `ORDER` is no `OR`.
            after.is_some_and(|next| !text.starts_with(char::is_alphabetic) || !is_part_of_name(next))
        };
        let (text, operator) = level.iter().find(|(text, _)| is_there(text))?;
        self.at += text.len();
        Some(*operator)
    }

    fn level(&mut self, level: usize) -> Result<Expression, BadExpression> {
        let Some(operators) = LEVELS.get(level) else { return self.signed() };
        let mut left = self.level(level + 1)?;
        while let Some(operator) = self.operator(operators) {
            let right = self.level(level + 1)?;
            left = Expression::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, BadExpression>) -> Result<T, BadExpression> {
        if self.depth == MOST_DEPTH {
            return Err(BadExpression(format!("it is more than {MOST_DEPTH} levels deep")));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn signed(&mut self) -> Result<Expression, BadExpression> {
        if self.take("-") {
            return self.deeper(Self::signed).map(|inside| Expression::Negated(Box::new(inside)));
        }
        let base = self.operand()?;
        if !self.take("^") {
            return Ok(base);
        }
        // To the right: 2^3^2 is 2^9.
        let power = self.deeper(Self::signed)?;
        Ok(Expression::Binary(Operator::Power, Box::new(base), Box::new(power)))
    }

    fn operand(&mut self) -> Result<Expression, BadExpression> {
        self.skip();
        let Some(first) = self.rest().chars().next() else { return Err(self.unexpected()) };
        match first {
            '(' => {
                self.at += 1;
                let inside = self.deeper(|source| source.level(0))?;
                self.need(")")?;
                Ok(inside)
            }
            '[' => {
                self.at += 1;
                self.list("]").map(Expression::Array)
            }
            '"' | '\'' => self.text(first),
            '0'..='9' | '.' => self.number(),
            _ if first.is_ascii_alphabetic() => {
                let rest = self.rest();
                let length = rest.find(|c| !is_part_of_name(c)).unwrap_or(rest.len());
                self.at += length;
                let name = rest[..length].to_owned();
                if self.take("(") { Ok(Expression::Call(name, self.list(")")?)) } else { Ok(Expression::Name(name)) }
            }
            _ => Err(self.unexpected()),
        }
    }

    fn list(&mut self, end: &str) -> Result<Vec<Expression>, BadExpression> {
        let mut list = Vec::new();
        if self.take(end) {
            return Ok(list);
        }
        loop {
            list.push(self.deeper(|source| source.level(0))?);
            if self.take(end) {
                return Ok(list);
            }
            self.need(",")?;
        }
    }

    fn text(&mut self, quote: char) -> Result<Expression, BadExpression> {
        let inside = &self.rest()[1..];
        let Some(end) = inside.find(quote) else { return Err(BadExpression("A text has no end".into())) };
        self.at += end + 2;
        Ok(Expression::Text(inside[..end].to_owned()))
    }

    fn number(&mut self) -> Result<Expression, BadExpression> {
        let rest = self.rest();
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let mut length = digits(rest);
        if let Some(fraction) = rest[length..].strip_prefix('.') {
            length += 1 + digits(fraction);
        }
        if let Some(exponent) = rest[length..].strip_prefix(['e', 'E']) {
            let sign = usize::from(exponent.starts_with(['+', '-']));
            let size = digits(&exponent[sign..]);
            if size > 0 {
                length += 1 + sign + size;
            }
        }
        let number = rest[..length].parse::<f64>().ok().filter(|number| number.is_finite());
        let Some(number) = number else { return Err(self.unexpected()) };
        self.at += length;
        Ok(Expression::Number(number))
    }
}

fn is_part_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
