//! Finds the places where a source can be mutated, and puts a switch at each. Only expressions of which the type stays
//! the same are touched, so that one build holds all mutants.

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream, Parser};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, ExprBinary, ExprMethodCall, Ident, Lit, ReturnType, Token, UnOp};

/// One mutant.
pub struct Mutant {
    pub line: usize,
    pub what: String,
}

/// A source with switches.
pub struct Planted {
    pub source: String,
    pub mutants: Vec<Mutant>,
}

/// Plants all mutants of a source; they are numbered from `before` + 1 on.
pub fn plant(source: &str, before: usize) -> syn::Result<Planted> {
    let file = syn::parse_file(source)?;
    let mut sites = Sites {
        source,
        before,
        running: false,
        mutants: Vec::new(),
        insertions: Vec::new(),
        failed: None,
    };
    sites.visit_file(&file);
    if let Some(error) = sites.failed {
        return Err(error);
    }
    Ok(Planted {
        source: sites.rewritten(),
        mutants: sites.mutants,
    })
}

/// Text to put in at a byte. At one byte, what closes comes before what opens, inner before outer.
struct Insertion {
    at: usize,
    rank: (u8, isize),
    text: String,
}

struct Sites<'s> {
    source: &'s str,
    before: usize,
    /// Inside something that runs, not in a constant.
    running: bool,
    mutants: Vec<Mutant>,
    insertions: Vec<Insertion>,
    failed: Option<syn::Error>,
}

/// Methods and what a slip of the pen makes of them; receiver, arguments and result have the same types.
const SLIPS: [(&str, &str); 12] = [
    ("any", "all"),
    ("all", "any"),
    ("is_some", "is_none"),
    ("is_none", "is_some"),
    ("is_some_and", "is_none_or"),
    ("is_none_or", "is_some_and"),
    ("checked_add", "checked_sub"),
    ("checked_sub", "checked_add"),
    ("checked_mul", "checked_div"),
    ("checked_div", "checked_mul"),
    ("starts_with", "ends_with"),
    ("ends_with", "starts_with"),
];

impl<'s> Sites<'s> {
    fn text(&self, span: Span) -> &'s str {
        &self.source[span.byte_range()]
    }

    /// A mutant that puts something else in the place of an expression.
    fn replace(&mut self, span: Span, what: &str, with: &str) {
        if self.text(span) == with {
            return;
        }
        let number = self.number(span, what);
        let range = span.byte_range();
        let order = self.insertions.len() as isize;
        self.insertions.push(Insertion {
            at: range.start,
            rank: (1, order),
            text: format!("(if crate::mutant::on({number}) {{ {with} }} else {{ "),
        });
        self.insertions.push(Insertion {
            at: range.end,
            rank: (0, -order),
            text: " })".to_owned(),
        });
    }

    /// A mutant that leaves a function early.
    fn leave(&mut self, block: &Block, what: &str, with: &str) {
        let number = self.number(block.span(), what);
        let order = self.insertions.len() as isize;
        self.insertions.push(Insertion {
            at: block.span().byte_range().start + 1,
            rank: (1, order),
            text: format!(" if crate::mutant::on({number}) {{ return {with}; }}"),
        });
    }

    fn number(&mut self, span: Span, what: &str) -> usize {
        self.mutants.push(Mutant {
            line: span.start().line,
            what: what.split_whitespace().collect::<Vec<_>>().join(" "),
        });
        self.before + self.mutants.len()
    }

    fn rewritten(&mut self) -> String {
        self.insertions.sort_by_key(|insertion| (insertion.at, insertion.rank));
        let (mut text, mut done) = (String::new(), 0);
        for insertion in &self.insertions {
            text.push_str(&self.source[done..insertion.at]);
            text.push_str(&insertion.text);
            done = insertion.at;
        }
        text.push_str(&self.source[done..]);
        text
    }

    fn binary(&mut self, binary: &ExprBinary) {
        let span = binary.span();
        let (left, right) = (self.text(binary.left.span()), self.text(binary.right.span()));
        let mut operator = |new: &str| {
            let what = format!("{left} [{} -> {new}] {right}", self.text(binary.op.span()));
            self.replace(span, &what, &format!("{left} {new} {right}"));
        };
        match binary.op {
            BinOp::And(_) | BinOp::Or(_) => {
                if has_let(&binary.left) || has_let(&binary.right) {
                    return;
                }
                let operator = self.text(binary.op.span());
                self.replace(span, &format!("[{left} {operator}] {right}"), right);
                self.replace(span, &format!("{left} [{operator} {right}]"), left);
            }
            BinOp::Lt(_) => operator("<="),
            BinOp::Le(_) => operator("<"),
            BinOp::Gt(_) => operator(">="),
            BinOp::Ge(_) => operator(">"),
            BinOp::Eq(_) => operator("!="),
            BinOp::Ne(_) => operator("=="),
            BinOp::Add(_) => operator("-"),
            BinOp::Sub(_) => operator("+"),
            _ => {}
        }
    }

    fn method(&mut self, call: &ExprMethodCall) {
        let name = call.method.to_string();
        // `all` of a document is not that of an iterator.
        if self
            .text(call.receiver.span())
            .trim_end_matches("()")
            .ends_with("document")
        {
            return;
        }
        if let Some((_, slip)) = SLIPS.iter().find(|(known, _)| *known == name) {
            let (whole, method) = (call.span().byte_range(), call.method.span().byte_range());
            let with = format!(
                "{}{slip}{}",
                &self.source[whole.start..method.start],
                &self.source[method.end..whole.end]
            );
            self.replace(call.span(), &format!(".{name} -> .{slip}"), &with);
        }
    }

    /// A check of a rule, or the condition of a context: what if it were always true, what if never?
    fn predicate(&mut self, what: &str, check: &Expr) {
        let running = std::mem::replace(&mut self.running, true);
        if let Expr::Closure(closure) = check {
            self.replace(closure.body.span(), &format!("{what} -> true"), "true");
            self.replace(closure.body.span(), &format!("{what} -> false"), "false");
            self.visit_expr(&closure.body);
        } else {
            // A function by its name: called inside a closure that has the switches.
            let always = self.number(check.span(), &format!("{what} -> true"));
            let never = self.number(check.span(), &format!("{what} -> false"));
            let order = self.insertions.len() as isize;
            let range = check.span().byte_range();
            let on = "crate::mutant::on";
            self.insertions.push(Insertion {
                at: range.start,
                rank: (1, order),
                text: format!("|node, facts| if {on}({always}) {{ true }} else if {on}({never}) {{ false }} else {{ "),
            });
            self.insertions.push(Insertion {
                at: range.end,
                rank: (0, -order),
                text: "(node, facts) }".to_owned(),
            });
        }
        self.running = running;
    }

    fn function(&mut self, name: &Ident, output: &ReturnType, block: &Block) {
        let returns_bool = matches!(output, ReturnType::Type(_, kind) if self.text(kind.span()) == "bool");
        if returns_bool {
            self.leave(block, &format!("{name} -> true"), "true");
            self.leave(block, &format!("{name} -> false"), "false");
        }
        let running = std::mem::replace(&mut self.running, true);
        self.visit_block(block);
        self.running = running;
    }
}

/// Whether a condition binds names, which can't be moved out of its `if`.
fn has_let(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

impl<'a> Visit<'a> for Sites<'_> {
    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.function(&item.sig.ident, &item.sig.output, &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.function(&item.sig.ident, &item.sig.output, &item.block);
    }

    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        if item.ident != "tests" {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_const(&mut self, item: &'a syn::ItemConst) {
        let running = std::mem::replace(&mut self.running, false);
        self.visit_expr(&item.expr);
        self.running = running;
    }

    fn visit_item_static(&mut self, item: &'a syn::ItemStatic) {
        let running = std::mem::replace(&mut self.running, false);
        self.visit_expr(&item.expr);
        self.running = running;
    }

    fn visit_expr_const(&mut self, _: &'a syn::ExprConst) {}

    fn visit_expr_repeat(&mut self, _: &'a syn::ExprRepeat) {}

    fn visit_expr_closure(&mut self, closure: &'a syn::ExprClosure) {
        let running = std::mem::replace(&mut self.running, true);
        self.visit_expr(&closure.body);
        self.running = running;
    }

    fn visit_expr(&mut self, expression: &'a Expr) {
        if self.running {
            match expression {
                Expr::Binary(binary) => self.binary(binary),
                Expr::MethodCall(call) => self.method(call),
                Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) => {
                    let operand = self.text(unary.expr.span());
                    self.replace(unary.span(), &format!("[!]{operand}"), operand);
                }
                Expr::Lit(literal) => match &literal.lit {
                    Lit::Int(_) => {
                        let number = self.text(literal.span());
                        self.replace(literal.span(), &format!("{number} + 1"), &format!("{number} + 1"));
                    }
                    Lit::Str(_) => {
                        let text = self.text(literal.span());
                        self.replace(literal.span(), &format!("{text} -> \"~\""), "\"~\"");
                    }
                    _ => {}
                },
                Expr::Macro(call) if call.mac.path.is_ident("matches") => {
                    let text = self.text(call.span());
                    self.replace(call.span(), &format!("[!]{text}"), &format!("!{text}"));
                }
                _ => {}
            }
        }
        visit::visit_expr(self, expression);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        let name = call.path.segments.last().map(|segment| segment.ident.to_string());
        let tokens = call.tokens.clone();
        let parsed = match name.as_deref() {
            Some("rules") => Rules::parse.parse2(tokens).map(|rules| {
                for (id, check) in &rules.0 {
                    let id = self.text(id.span()).to_owned();
                    self.predicate(&id, check);
                }
            }),
            Some("context") => ContextOf::parse.parse2(tokens).map(|context| {
                if let Some(when) = &context.when {
                    self.predicate("context", when);
                }
                context.rules.iter().for_each(|rules| self.visit_expr(rules));
            }),
            Some("category") => CategoryOf::parse.parse2(tokens).map(|category| {
                self.visit_expr(&category.breakdown);
                for (ids, check) in &category.checks {
                    self.predicate(ids, check);
                }
            }),
            _ => Ok(()),
        };
        if let Err(error) = parsed {
            self.failed.get_or_insert(error);
        }
    }
}

/// `id, Severity, check;` and so on.
struct Rules(Vec<(Expr, Expr)>);

impl Parse for Rules {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut rules = Vec::new();
        while !input.is_empty() {
            let id = input.parse()?;
            input.parse::<Token![,]>()?;
            input.parse::<Ident>()?;
            input.parse::<Token![,]>()?;
            rules.push((id, input.parse()?));
            input.parse::<Token![;]>()?;
        }
        Ok(Self(rules))
    }
}

/// `names [in parents] [if condition] [, table "name"]; rules, rules`.
struct ContextOf {
    when: Option<Expr>,
    rules: Vec<Expr>,
}

impl Parse for ContextOf {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        input.parse::<proc_macro2::TokenTree>()?;
        if input.parse::<Option<Token![in]>>()?.is_some() {
            input.parse::<proc_macro2::TokenTree>()?;
        }
        let when = if input.parse::<Option<Token![if]>>()?.is_some() {
            Some(input.parse()?)
        } else {
            None
        };
        if input.parse::<Option<Token![,]>>()?.is_some() {
            input.parse::<Ident>()?;
            input.parse::<syn::LitStr>()?;
        }
        input.parse::<Token![;]>()?;
        let rules = input.parse_terminated(Expr::parse, Token![,])?;
        Ok(Self {
            when,
            rules: rules.into_iter().collect(),
        })
    }
}

/// `NAME CODE; rules of the breakdown; "allowance" "charge" "line" check`, and in CII three more and their check.
struct CategoryOf {
    breakdown: Expr,
    checks: Vec<(String, Expr)>,
}

impl Parse for CategoryOf {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        input.parse::<Ident>()?;
        input.parse::<proc_macro2::TokenTree>()?;
        input.parse::<Token![;]>()?;
        let breakdown = input.parse()?;
        let mut checks = Vec::new();
        while input.parse::<Option<Token![;]>>()?.is_some() {
            let ids: [syn::LitStr; 3] = [input.parse()?, input.parse()?, input.parse()?];
            checks.push((ids.map(|id| id.value()).join(" "), input.parse()?));
        }
        Ok(Self { breakdown, checks })
    }
}
