//! What expressions may name, and what kind of value each has.

use super::action::Declared;
use crate::template::check::Shape;
use crate::template::schema::Schema;
use crate::template::{Counter, Reference};

/// Ids, keys, names of states and other short texts.
const NAME: Shape = Shape::Text(128);

/// Shapes of the variables of an action.
pub type Shapes<'a> = Vec<(&'a str, Shape)>;

fn object<'f>(fields: impl IntoIterator<Item = (&'f str, Shape)>) -> Shape {
    Shape::Object(
        fields
            .into_iter()
            .map(|(name, shape)| (name.to_owned(), shape))
            .collect(),
    )
}

impl Declared<'_> {
    /// What every expression of an action may name.
    pub fn shapes(
        &self,
        creates: bool,
        input: &Schema,
        refs: &[Reference],
        counter: Option<&Counter>,
    ) -> Shapes<'static> {
        let tx = [("nonce", NAME), ("signer", NAME), ("validUntil", Shape::Int)];
        let block = [("height", Shape::Int), ("time", Shape::Int)];
        let mut shapes = vec![
            ("id", NAME),
            ("input", Shape::from(input)),
            ("tx", object(tx)),
            ("block", object(block)),
        ];
        if !creates {
            shapes.push(("record", self.record()));
        }
        if !refs.is_empty() {
            let shape = |many: bool| match many {
                true => Shape::List(Box::new(self.record()), super::change::MAX_REFS as u64),
                false => self.record(),
            };
            let refs = refs.iter().map(|one| (one.name.as_str(), shape(one.many)));
            shapes.push(("refs", object(refs)));
        }
        if let Some(counter) = counter {
            let row = object([("next", Shape::Int), ("previous", NAME)]);
            shapes.push(("counters", object([(counter.name.as_str(), row)])));
        }
        shapes
    }

    /// A record of this template.
    pub fn record(&self) -> Shape {
        let regions = self.regions.iter().map(|region| (region.name.as_str(), NAME));
        object([
            ("createdHeight", Shape::Int),
            ("createdTime", Shape::Int),
            ("creator", NAME),
            ("fields", Shape::from(self.fields)),
            ("id", NAME),
            ("regions", object(regions)),
            ("revision", Shape::Int),
            ("template", NAME),
            ("updatedHeight", Shape::Int),
            ("updatedTime", Shape::Int),
            ("version", Shape::Int),
        ])
    }
}
