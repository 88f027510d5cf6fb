//! Which record a document is for: none, the invoice that a credit note is for, or the one that it takes the place of.

use super::super::super::records::record_id;
use super::super::asked::Asked;
use super::{CATCH_UP, Desk};
use crate::invoice::input::Entry;
use crate::invoice::judge::Judged;
use crate::problem::{ApiError, Code};
use crate::store::invoices::Search;

impl Desk<'_> {
    /// How a document comes onto the ledger.
    pub(super) async fn entry(&self, judged: &Judged, asked: &Asked) -> Result<Entry, ApiError> {
        let id = |text: &String, field: &str| {
            record_id(text).map(|_| text.clone()).map_err(|_| {
                let detail = format!("`{field}` must be a record's id, 64 lowercase hex characters");
                ApiError::new(Code::INVALID_FIELD, detail).at(format!("/{field}"))
            })
        };
        if asked.credits.is_some() && asked.replaces.is_some() {
            let detail =
                "a document is a credit note for an invoice or takes the place of one: give `credits` or `replaces`";
            return Err(ApiError::new(Code::INVALID_FIELD, detail).at("/credits"));
        }
        if let Some(original) = &asked.replaces {
            self.agrees(judged, original, "replaces").await?;
            return Ok(Entry::Replace(id(original, "replaces")?));
        }
        if let Some(invoice) = &asked.credits {
            self.agrees(judged, invoice, "credits").await?;
            return Ok(Entry::Credit(id(invoice, "credits")?));
        }
        let (note, correction) = (judged.invoice.is_credit_note(), judged.invoice.is_correction());
        if !note && !correction {
            return Ok(Entry::Issue);
        }
        let preceding = judged.invoice.preceding.first().map(|one| one.number.clone());
        let found = match &preceding {
            Some(number) => self.issued(number).await?,
            None => Vec::new(),
        };
        match found.as_slice() {
            [one] if note => Ok(Entry::Credit(hex::encode(one))),
            [one] => Ok(Entry::Replace(hex::encode(one))),
            _ => {
                let (field, what) = match note {
                    true => ("credits", "this credit note is for"),
                    false => ("replaces", "this corrected invoice takes the place of"),
                };
                let detail = format!(
                    "the ledger has {} invoices of yours with the number {:?} (BT-25): say with `{field}=RECORD` which one \
                     {what}",
                    found.len(),
                    preceding.unwrap_or_default()
                );
                Err(ApiError::new(Code::MISSING_FIELD, detail).at(format!("/{field}")))
            }
        }
    }

    /// Refuses a record other than the invoice that the document itself names, where that is the caller's and on the
    /// ledger: nobody could take a credit back that stands on the wrong invoice.
    async fn agrees(&self, judged: &Judged, record: &str, field: &str) -> Result<(), ApiError> {
        let mut named = None;
        for preceding in &judged.invoice.preceding {
            for one in self.issued(&preceding.number).await? {
                if hex::encode(&one) == record {
                    return Ok(());
                }
                named = Some((preceding.number.clone(), hex::encode(one)));
            }
        }
        let Some((number, other)) = named else { return Ok(()) };
        let detail = format!(
            "the document names the invoice {number:?} (BT-25), which is record {other}; `{field}` names another one: \
             correct the document or `{field}`"
        );
        Err(ApiError::new(Code::INVALID_FIELD, detail).at(format!("/{field}")))
    }

    /// The caller's own invoices with a number.
    async fn issued(&self, number: &str) -> Result<Vec<Vec<u8>>, ApiError> {
        let search = Search {
            number: Some(number.to_owned()),
            issuer: Some(self.own_key(self.ctx.owner()).await?),
            ..Search::default()
        };
        self.network.caught_up(CATCH_UP).await;
        let rows = self.network.invoices(&search, 20).await.map_err(ApiError::internal)?;
        let invoices = rows.into_iter().filter(|row| row.credits.is_none());
        Ok(invoices.map(|row| row.record).collect())
    }
}
