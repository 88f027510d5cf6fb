//! Taking YAML apart strictly: every key must be asked for, whatever is left over is an error.
//!
//! Reading goes on after a mistake where it can: [`At::each`] and [`At::entries`] look at every element, [`Parts`] lets
//! independent parts be looked at one after the other. What is noted on the way is in [`Run::finish`].

use std::cell::RefCell;

use super::{Node, Place, Yaml};
use crate::template::TemplateError;

/// One reading of a source: the source itself, and the mistakes found so far.
pub struct Run<'a> {
    source: &'a str,
    found: RefCell<Vec<TemplateError>>,
}

impl<'a> Run<'a> {
    /// A reading that has found nothing yet.
    pub fn new(source: &'a str) -> Self {
        Self {
            source,
            found: RefCell::default(),
        }
    }

    /// The outcome of a reading, or everything that is wrong, in the order of the source.
    pub fn finish<T>(self, outcome: Result<T, TemplateError>) -> Result<T, Vec<TemplateError>> {
        let mut found = self.found.into_inner();
        match outcome {
            Ok(good) if found.is_empty() => return Ok(good),
            Ok(_) => {}
            Err(last) => found.push(last),
        }
        found.sort_by(|a, b| (a.line, a.column, &a.path).cmp(&(b.line, b.column, &b.path)));
        found.dedup();
        Err(found)
    }

    /// Line and column of a byte of the source.
    fn place(&self, offset: usize) -> Option<(u64, u64)> {
        let before = self.source.get(..offset)?;
        let line = before.bytes().filter(|byte| *byte == b'\n').count() as u64 + 1;
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        Some((line, before.get(start..)?.chars().count() as u64 + 1))
    }

    /// Where byte `offset` of a scalar's text stands in the source. Quotes, escapes, folded lines and indentation make
    /// the two differ: the text's visible characters are looked for one after the other.
    fn inside(&self, start: usize, text: &str, offset: usize) -> Option<(u64, u64)> {
        let raw = self.source.get(start..)?;
        // A block scalar begins with an indicator that is not part of its text.
        let skip = match raw.as_bytes().first() {
            Some(b'|' | b'>') => raw.find('\n')?,
            _ => 0,
        };
        let mut raw = raw.get(skip..)?.char_indices();
        let mut place = start;
        for (index, wanted) in text.char_indices().filter(|(_, c)| !c.is_whitespace()) {
            let (found, _) = raw.find(|(_, c)| *c == wanted)?;
            place = start + skip + found;
            if index >= offset {
                break;
            }
        }
        self.place(place)
    }
}

/// A node together with its path from the top of the document, for errors.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// The node.
    pub node: &'a Node,
    /// The way here.
    pub path: &'a Path<'a>,
    /// The reading.
    pub run: &'a Run<'a>,
}

/// A path as a linked list on the stack: written out only when something is wrong.
pub enum Path<'a> {
    /// The document.
    Top,
    /// A key of a map.
    Key(&'a Path<'a>, &'a str),
    /// A place in a list.
    Index(&'a Path<'a>, usize),
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Key(Self::Top, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl<'a> At<'a> {
    /// An error that stands here.
    pub fn error(&self, message: impl Into<String>) -> TemplateError {
        self.error_at(Some(self.node.start), message)
    }

    /// An error about the key here rather than its value.
    pub fn key_error(&self, message: impl Into<String>) -> TemplateError {
        self.error_at(self.node.key.or(Some(self.node.start)), message)
    }

    /// An error at byte `offset` of the string here.
    pub fn error_in(&self, offset: usize, message: impl Into<String>) -> TemplateError {
        let error = self.error(message);
        let Yaml::Text(text) = &self.node.value else {
            return error;
        };
        match self.run.inside(self.node.start.offset as usize, text, offset) {
            Some((line, column)) => TemplateError {
                line: Some(line),
                column: Some(column),
                ..error
            },
            None => error,
        }
    }

    fn error_at(&self, place: Option<Place>, message: impl Into<String>) -> TemplateError {
        let place = place.filter(|place| place.line > 0);
        TemplateError {
            path: self.path.to_string(),
            line: place.map(|place| place.line.into()),
            column: place.map(|place| place.column.into()),
            message: message.into(),
        }
    }

    /// Parts of this node that are looked at whatever is wrong with the others.
    pub fn parts(&self) -> Parts<'a> {
        Parts {
            run: self.run,
            wrong: None,
        }
    }

    fn wrong(&self, wanted: &str) -> TemplateError {
        match self.node.value {
            Yaml::Float => {
                self.error("floats and integers beyond 64 bits are not allowed: use an integer in a small unit")
            }
            _ => self.error(format!("expected {wanted}, found {}", self.node.value.kind())),
        }
    }

    /// The string here.
    pub fn text(&self) -> Result<&'a str, TemplateError> {
        match &self.node.value {
            Yaml::Text(text) => Ok(text),
            // Words such as `no` and `y` are booleans in YAML.
            Yaml::Bool(_) | Yaml::Int(_) => Err(self.error(format!(
                "expected a string, found {}: put it in quotes to make it one",
                self.node.value.kind()
            ))),
            _ => Err(self.wrong("a string")),
        }
    }

    /// The integer here.
    pub fn int(&self) -> Result<i64, TemplateError> {
        match self.node.value {
            Yaml::Int(value) => Ok(value),
            _ => Err(self.wrong("an integer")),
        }
    }

    /// The boolean here.
    pub fn bool(&self) -> Result<bool, TemplateError> {
        match self.node.value {
            Yaml::Bool(value) => Ok(value),
            _ => Err(self.wrong("true or false")),
        }
    }

    /// Calls `each` for every element of the list here. Every element is looked at, also after a mistake.
    pub fn each<T>(&self, mut each: impl FnMut(At<'_>) -> Result<T, TemplateError>) -> Result<Vec<T>, TemplateError> {
        let Yaml::List(list) = &self.node.value else {
            return Err(self.wrong("a list"));
        };
        let mut parts = self.parts();
        let elements = list.iter().enumerate().filter_map(|(index, node)| {
            parts.keep(each(At {
                node,
                path: &Path::Index(self.path, index),
                run: self.run,
            }))
        });
        let elements = elements.collect();
        parts.settle().map(|()| elements)
    }

    /// Calls `each` for every entry of the map here, in source order. Every entry is looked at, also after a mistake.
    pub fn entries<T>(
        &self,
        mut each: impl FnMut(&'a str, At<'_>) -> Result<T, TemplateError>,
    ) -> Result<Vec<T>, TemplateError> {
        let Yaml::Map(map) = &self.node.value else {
            return Err(self.wrong("a map"));
        };
        let mut parts = self.parts();
        let elements = map.iter().filter_map(|(key, node)| {
            let at = At {
                node,
                path: &Path::Key(self.path, key),
                run: self.run,
            };
            parts.keep(each(key, at))
        });
        let elements = elements.collect();
        parts.settle().map(|()| elements)
    }

    /// Refuses every key that isn't in `allowed`.
    pub fn only(&self, allowed: &[&str]) -> Result<(), TemplateError> {
        self.entries(|key, at| {
            if allowed.contains(&key) {
                return Ok(());
            }
            let meant = similar(key, allowed.iter().copied())
                .map(|meant| format!("did you mean `{meant}`? "))
                .unwrap_or_default();
            Err(at.key_error(format!(
                "unknown key `{key}`; {meant}allowed here: {}",
                allowed.join(", ")
            )))
        })
        .map(drop)
    }

    /// Reads the value of `key` if it is there.
    pub fn get<T>(
        &self,
        key: &str,
        read: impl FnOnce(At<'_>) -> Result<T, TemplateError>,
    ) -> Result<Option<T>, TemplateError> {
        let Yaml::Map(map) = &self.node.value else {
            return Err(self.wrong("a map"));
        };
        let Some((_, node)) = map.iter().find(|(name, _)| name == key) else {
            return Ok(None);
        };
        read(At {
            node,
            path: &Path::Key(self.path, key),
            run: self.run,
        })
        .map(Some)
    }

    /// Reads the value of `key`, which must be there.
    pub fn need<T>(
        &self,
        key: &str,
        read: impl FnOnce(At<'_>) -> Result<T, TemplateError>,
    ) -> Result<T, TemplateError> {
        self.get(key, read)?
            .ok_or_else(|| self.error(format!("the key `{key}` is missing")))
    }
}

/// Parts that are looked at whatever is wrong with the others. Ends with [`Self::settle`].
pub struct Parts<'a> {
    run: &'a Run<'a>,
    wrong: Option<TemplateError>,
}

impl Parts<'_> {
    /// A part, if nothing is wrong with it.
    pub fn keep<T>(&mut self, part: Result<T, TemplateError>) -> Option<T> {
        let error = match part {
            Ok(part) => return Some(part),
            Err(error) => error,
        };
        // The last mistake is what `settle` answers; those before it are noted.
        self.run.found.borrow_mut().extend(self.wrong.replace(error));
        None
    }

    /// Goes on only when all parts are good: what follows would be judged by parts that aren't there.
    pub fn settle(&mut self) -> Result<(), TemplateError> {
        self.wrong.take().map_or(Ok(()), Err)
    }
}

/// The known word that a mistyped one most likely stands for.
pub fn similar<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    known
        .into_iter()
        .map(|known| {
            (
                strsim::damerau_levenshtein(&word.to_lowercase(), &known.to_lowercase()),
                known,
            )
        })
        .filter(|(distance, known)| *distance <= known.len().div_ceil(3))
        .min()
        .map(|(_, known)| known)
}
