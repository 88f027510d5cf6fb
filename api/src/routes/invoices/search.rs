//! The list of invoices: what may be asked for, and the page that answers it.

use actix_web::HttpResponse;
use actix_web::web::Path;
use sea_orm::Iterable;
use serde::Deserialize;

use super::super::query::Query;
use super::super::records::record_id;
use super::super::respond;
use super::desk::Desk;
use crate::ctx::With;
use crate::invoice::{REGIONS, amount};
use crate::problem::{ApiError, Code};
use crate::store::entity::invoice::{Column, Model};
use crate::store::invoices::Search;
use crate::types::{Invoice, InvoicePage, InvoiceStates, Problem};

/// How long a search waits for blocks that are final already.
const CATCH_UP: std::time::Duration = std::time::Duration::from_secs(5);

/// Query of the list; all that is given must hold.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct List {
    /// Invoice number.
    number: Option<String>,
    /// Series.
    series: Option<String>,
    /// Any of its parties: a tax id, or a party's name or key.
    party: Option<String>,
    /// First issue date, `YYYY-MM-DD`.
    from: Option<String>,
    /// Last issue date, `YYYY-MM-DD`.
    to: Option<String>,
    /// Least total with VAT, decimal text.
    min_amount: Option<String>,
    /// Largest total with VAT, decimal text.
    max_amount: Option<String>,
    /// Currency.
    currency: Option<String>,
    /// States such as `settlement:Open`, several with commas.
    state: Option<String>,
    /// Credit notes of this record.
    credits: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// 1 to 200, default 50.
    limit: Option<usize>,
}

/// Invoices, the newest issue date first and within a day the last recorded first, true up to `height`.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/invoices", tag = "invoices",
    operation_id = "listInvoices", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path), List),
    responses((status = 200, description = "a page", body = InvoicePage),
        (status = 400, description = "malformed query", body = Problem)))]
pub async fn list(With(ctx, query): With<Query<List>>, path: Path<(String, String)>) -> Result<HttpResponse, ApiError> {
    let network = ctx.network(&path.1).await?;
    let limit = respond::page(query.limit)?;
    let mut search = query.search()?;
    if let Some(party) = &search.party
        && let Some(key) = Desk::new(&ctx, &network).key(party).await?
    {
        search.party = Some(key);
    }
    let height = network.caught_up(CATCH_UP).await;
    // One more than is shown tells whether there is a next page.
    let rows = network
        .invoices(&search, limit as u64 + 1)
        .await
        .map_err(ApiError::internal)?;
    let next = rows.get(limit - 1).filter(|_| rows.len() > limit).map(cursor);
    let invoices = rows.into_iter().take(limit).map(view).collect();
    Ok(HttpResponse::Ok().json(InvoicePage { height, invoices, next }))
}

impl List {
    fn search(&self) -> Result<Search, ApiError> {
        Ok(Search {
            issuer: None,
            number: self.number.clone(),
            series: self.series.clone(),
            party: self.party.clone(),
            from: self.from.as_deref().map(|text| date("from", text)).transpose()?,
            to: self.to.as_deref().map(|text| date("to", text)).transpose()?,
            least: self
                .min_amount
                .as_deref()
                .map(|text| money("minAmount", text))
                .transpose()?,
            most: self
                .max_amount
                .as_deref()
                .map(|text| money("maxAmount", text))
                .transpose()?,
            currency: self.currency.clone(),
            states: self.state.as_deref().map(states).transpose()?.unwrap_or_default(),
            credits: self
                .credits
                .as_deref()
                .map(record_id)
                .transpose()
                .map_err(|_| bad("`credits` must be a record's id"))?,
            after: self.after.as_deref().map(after).transpose()?,
        })
    }
}

fn bad(detail: impl Into<String>) -> ApiError {
    ApiError::new(Code::BAD_REQUEST, detail)
}

fn date(field: &str, text: &str) -> Result<String, ApiError> {
    if muniment_invoices::is_date(text) {
        return Ok(text.to_owned());
    }
    Err(bad(format!(
        "`{field}` is {:?}, which is no day of the calendar; write YYYY-MM-DD, such as 2026-11-24",
        short(text)
    )))
}

fn money(field: &str, text: &str) -> Result<i64, ApiError> {
    amount::parse(text).ok_or_else(|| bad(format!("`{field}` must be an amount such as 119.00")))
}

fn states(text: &str) -> Result<Vec<(Column, String)>, ApiError> {
    text.split(',').map(|one| state(one.trim())).collect()
}

fn state(text: &str) -> Result<(Column, String), ApiError> {
    let (region, state) = text
        .split_once(':')
        .ok_or_else(|| bad("`state` must look like `settlement:Open`"))?;
    let known = REGIONS.iter().find(|(name, _)| *name == region);
    let Some((_, known)) = known else {
        let names: Vec<_> = REGIONS.iter().map(|(name, _)| *name).collect();
        return Err(bad(format!(
            "an invoice has no region `{}`; there are: {}",
            short(region),
            names.join(", ")
        )));
    };
    if !known.contains(&state) {
        return Err(bad(format!(
            "`{region}` has no state `{}`; there are: {}",
            short(state),
            known.join(", ")
        )));
    }
    let column = Column::iter().find(|column| sea_orm::IdenStatic::as_str(column) == region);
    let column = column.ok_or_else(|| ApiError::internal("a region has no column"))?;
    Ok((column, state.to_owned()))
}

fn short(text: &str) -> String {
    text.chars().take(32).collect()
}

fn cursor(row: &Model) -> String {
    format!("{}.{}", row.issue_date, row.leaf)
}

fn after(text: &str) -> Result<(String, i64), ApiError> {
    let wrong = || bad("`after` must be the `next` of the page before");
    let (day, leaf) = text.split_once('.').ok_or_else(wrong)?;
    Ok((
        date("after", day).map_err(|_| wrong())?,
        leaf.parse().map_err(|_| wrong())?,
    ))
}

fn view(row: Model) -> Invoice {
    Invoice {
        id: hex::encode(row.record),
        issuer: row.issuer,
        supplier: row.supplier,
        recipient: row.recipient,
        buyer: row.buyer,
        payee: row.payee,
        series: row.series,
        number: row.number,
        type_code: row.kind,
        issue_date: row.issue_date,
        due_date: row.due_date,
        currency: row.currency,
        gross: amount::text(row.gross),
        open: amount::text(row.open),
        credits: row.credits.map(hex::encode),
        version: u32::try_from(row.version).unwrap_or(u32::MAX),
        states: InvoiceStates {
            document: row.document,
            approval: row.approval,
            settlement: row.settlement,
            encumbrance: row.encumbrance,
            reimbursement: row.reimbursement,
            authority: row.authority,
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_region_has_its_column_and_unknown_words_are_named() {
        for (region, known) in REGIONS {
            for one in *known {
                let (column, found) = state(&format!("{region}:{one}")).unwrap();
                assert_eq!((sea_orm::IdenStatic::as_str(&column), found.as_str()), (*region, *one));
            }
        }
        let error = state("settlement:Payed").unwrap_err();
        assert!(error.detail().contains("Paid"), "{error}");
        assert!(state("mood:Good").is_err() && state("Paid").is_err());
    }

    #[test]
    fn a_cursor_is_read_back_and_nothing_else() {
        assert_eq!(after("2026-11-24.17").unwrap(), ("2026-11-24".to_owned(), 17));
        let former = format!("2026-11-24.{}", "ab".repeat(32));
        for wrong in [
            "",
            "2026-11-24",
            "2026-11-24.",
            "24.11.2026.17",
            "2026-11-24.zz",
            &former,
        ] {
            assert!(after(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_day_that_the_calendar_lacks_is_named_with_its_field() {
        for fine in ["2026-11-24", "2024-02-29", "1999-12-31"] {
            assert_eq!(date("from", fine).unwrap(), fine);
        }
        for wrong in [
            "2026-02-31",
            "2026-02-29",
            "20261124",
            "2026-1-2",
            "24.11.2026",
            "",
            "2026-11-24T00:00:00Z",
        ] {
            let detail = date("to", wrong).unwrap_err().detail().to_owned();
            assert!(
                detail.contains("`to`") && detail.contains(wrong) && detail.contains("YYYY-MM-DD"),
                "{detail}"
            );
        }
    }
}
