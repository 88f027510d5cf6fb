//! Reads of documents and invoices. Each takes the network it is for.

use std::collections::BTreeSet;

use muniment_receipts::key::SignerKey;
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::{document, invoice};
use super::query::failed;
use super::{Store, StoreError};

/// Which invoices are looked for.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Number.
    pub number: Option<String>,
    /// Series.
    pub series: Option<String>,
    /// Key of who issued it.
    pub issuer: Option<String>,
    /// Tax id, commitment or key of any of its parties.
    pub party: Option<String>,
    /// First issue date.
    pub from: Option<String>,
    /// Last issue date.
    pub to: Option<String>,
    /// Least gross amount, hundredths.
    pub least: Option<i64>,
    /// Largest gross amount, hundredths.
    pub most: Option<i64>,
    /// Currency.
    pub currency: Option<String>,
    /// States, each of a region.
    pub states: Vec<(invoice::Column, String)>,
    /// The invoice that credit notes are of.
    pub credits: Option<[u8; 32]>,
    /// Issue date and leaf after which the page begins.
    pub after: Option<(String, i64)>,
}

impl Store {
    /// Documents of an issuer by the digest of their original and by their variant.
    pub(crate) async fn document(
        &self,
        network: &[u8; 32],
        issuer: &str,
        content: &[u8; 32],
        variant: &[u8; 32],
    ) -> Result<Option<document::Model>, StoreError> {
        use document::Column as C;
        document::Entity::find()
            .filter(C::Network.eq(network.as_slice()))
            .filter(C::Issuer.eq(issuer))
            .filter(C::Content.eq(content.as_slice()))
            // Rows from before there were variants have the empty one.
            .filter(C::Variant.is_in([variant.as_slice(), &[]]))
            .order_by_desc(C::Variant)
            .one(&self.reader)
            .await
            .map_err(failed("a document"))
    }

    /// Invoices, the newest issue date first, and within a day the last recorded first.
    pub(crate) async fn invoices(
        &self,
        network: i64,
        search: &Search,
        limit: u64,
    ) -> Result<Vec<invoice::Model>, StoreError> {
        use invoice::Column as C;
        let mut all = Condition::all().add(C::Network.eq(network));
        let equal = [
            (C::Number, &search.number),
            (C::Issuer, &search.issuer),
            (C::Series, &search.series),
            (C::Currency, &search.currency),
        ];
        for (column, value) in equal {
            all = all.add_option(value.as_deref().map(|value| column.eq(value)));
        }
        for (column, state) in &search.states {
            all = all.add(column.eq(state.as_str()));
        }
        all = all
            .add_option(search.from.as_deref().map(|from| C::IssueDate.gte(from)))
            .add_option(search.to.as_deref().map(|to| C::IssueDate.lte(to)))
            .add_option(search.least.map(|least| C::Gross.gte(least)))
            .add_option(search.most.map(|most| C::Gross.lte(most)))
            .add_option(search.credits.map(|record| C::Credits.eq(record.as_slice())));
        if let Some(party) = &search.party {
            let any = [C::Issuer, C::Supplier, C::Recipient, C::Buyer, C::Payee];
            let any = any.iter().map(|column| column.eq(party.as_str()));
            let any = any.fold(Condition::any(), Condition::add);
            // Keys have no blanks. LIKE takes their `_` for any character and not for less, so nobody is left out.
            let key = party.parse::<SignerKey>().ok();
            all = all.add(any.add_option(key.map(|key| C::Named.contains(format!(" {key} ")))));
        }
        if let Some((date, leaf)) = &search.after {
            let same = Condition::all()
                .add(C::IssueDate.eq(date.as_str()))
                .add(C::Leaf.lt(*leaf));
            all = all.add(Condition::any().add(C::IssueDate.lt(date.as_str())).add(same));
        }
        invoice::Entity::find()
            .filter(all)
            .order_by_desc(C::IssueDate)
            .order_by_desc(C::Leaf)
            .limit(limit)
            .all(&self.reader)
            .await
            .map_err(failed("invoices"))
    }

    /// Which of these numbers an issuer has used.
    pub(crate) async fn taken(
        &self,
        network: i64,
        issuer: &str,
        numbers: &[&str],
    ) -> Result<BTreeSet<String>, StoreError> {
        let found: Vec<String> = invoice::Entity::find()
            .select_only()
            .column(invoice::Column::Number)
            .filter(invoice::Column::Network.eq(network))
            .filter(invoice::Column::Issuer.eq(issuer))
            .filter(invoice::Column::Number.is_in(numbers.iter().copied()))
            .into_tuple()
            .all(&self.reader)
            .await
            .map_err(failed("numbers that are taken"))?;
        Ok(found.into_iter().collect())
    }

    /// How many invoices an issuer has in a series: the last place that is taken in it.
    pub(crate) async fn places(&self, network: i64, issuer: &str, series: &str) -> Result<u64, StoreError> {
        invoice::Entity::find()
            .filter(invoice::Column::Network.eq(network))
            .filter(invoice::Column::Issuer.eq(issuer))
            .filter(invoice::Column::Series.eq(series))
            .count(&self.reader)
            .await
            .map_err(failed("places of a series"))
    }
}
