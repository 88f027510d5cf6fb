//! Writes of documents and invoices, inside the writer's transaction.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, OnConflict, Query, ValueTuple};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, Iterable, PrimaryKeyToColumn, QueryFilter, QuerySelect,
    QueryTrait,
};

use super::entity::{document, invoice, waiting};
use super::insert::add;
use super::writer::raw;

/// Rows of one statement: bounded by the parameters that one may have.
const ROWS: usize = 200;
/// Bytes of a wrapped key: nonce, key, tag.
const KEY: usize = 24 + 32 + 16;

/// Which documents an input on the ledger has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DocumentKey {
    /// Issuer.
    pub issuer: String,
    /// SHA-256 of the original.
    pub content: Vec<u8>,
    /// Digest of what else the input says of them.
    pub variant: Vec<u8>,
}

/// Inserts documents; those that are new wait for their invoices from then on. Those of another variant stay as they are:
/// the ledger may have taken either. One that waits already is sent again: it waits as long as a new one, and says the same.
/// One whose invoice is on the ledger, or that was erased, stays as it is.
pub async fn insert(on: &DatabaseTransaction, rows: &[document::Model]) -> Result<(), DbErr> {
    // No statement may meet a row twice: PostgreSQL refuses it whole.
    let different: BTreeMap<_, _> = rows.iter().rev().map(|row| (id(row), row)).collect();
    // As they come: one after the other lies together on disk.
    let rows: Vec<&document::Model> = rows
        .iter()
        .filter(|row| std::ptr::eq(different[&id(row)], *row))
        .collect();
    for rows in rows.chunks(ROWS) {
        let added = add(on, rows.iter().map(|row| (*row).clone()), &known()).await?;
        if usize::try_from(added).is_ok_and(|added| added == rows.len()) {
            wait(on, rows).await?;
        } else {
            again(on, rows).await?;
        }
    }
    Ok(())
}

fn id(row: &document::Model) -> (&[u8], &str, &[u8], &[u8]) {
    (&row.network, &row.issuer, &row.content, &row.variant)
}

/// From now on these wait, which were inserted just now.
async fn wait(on: &DatabaseTransaction, rows: &[&document::Model]) -> Result<(), DbErr> {
    let rows = rows.iter().map(|row| waiting::Model {
        network: row.network.clone(),
        issuer: row.issuer.clone(),
        content: row.content.clone(),
        variant: row.variant.clone(),
        created_at: row.created_at,
    });
    add(on, rows, &known()).await.map(drop)
}

/// What is there stays as it is.
fn known() -> OnConflict {
    OnConflict::new().do_nothing().to_owned()
}

/// Documents of one network, of which some were there before: what was inserted now waits, what waited already waits anew.
async fn again(on: &DatabaseTransaction, rows: &[&document::Model]) -> Result<(), DbErr> {
    use document::Column as C;
    let Some(first) = rows.first() else { return Ok(()) };
    let keys = || rows.iter().map(|row| (&*row.content, &*row.variant, &*row.issuer));
    waiting::Entity::update_many()
        .col_expr(waiting::Column::CreatedAt, Expr::value(first.created_at))
        .filter(waiting::Column::Network.eq(first.network.as_slice()))
        .filter(listed::<waiting::Entity>(keys()))
        .exec(on)
        .await?;
    // Each document has a key of its own, by which those of now are told from those of before.
    let there: Vec<Vec<u8>> = document::Entity::find()
        .select_only()
        .column(C::Key)
        .filter(C::Network.eq(first.network.as_slice()))
        .filter(listed::<document::Entity>(keys()))
        .into_tuple()
        .all(on)
        .await?;
    let there: BTreeSet<Vec<u8>> = there.into_iter().collect();
    let inserted: Vec<_> = rows.iter().copied().filter(|row| there.contains(&row.key)).collect();
    if inserted.is_empty() {
        return Ok(());
    }
    wait(on, &inserted).await
}

/// Those whose content, variant and issuer are listed. SQLite takes no list of tuples, takes conditions joined by OR far more
/// time, and takes a tuple's kind for that of its first column: a text before the digests would leave these out of the index.
fn listed<'a, E: EntityTrait>(keys: impl Iterator<Item = (&'a [u8], &'a [u8], &'a str)>) -> Expr {
    let columns = ["content", "variant", "issuer"].map(|name| Expr::col((E::default(), name)));
    let rows = keys.map(|(content, variant, issuer)| ValueTuple::Three(content.into(), variant.into(), issuer.into()));
    let list = Query::select()
        .expr(Expr::col(Asterisk))
        .from_values(rows, "listed")
        .to_owned();
    Expr::tuple(columns).in_subquery(list)
}

/// Notes that invoices on the ledger have documents: these wait no longer.
pub async fn keep(on: &DatabaseTransaction, network: &[u8; 32], documents: &[DocumentKey]) -> Result<(), DbErr> {
    for documents in documents.chunks(ROWS) {
        let keys = documents.iter().map(|key| (&*key.content, &*key.variant, &*key.issuer));
        waiting::Entity::delete_many()
            .filter(waiting::Column::Network.eq(network.as_slice()))
            .filter(listed::<waiting::Entity>(keys))
            .exec(on)
            .await?;
    }
    Ok(())
}

/// Overwrites a document's key in its place and drops the ciphertext, of all variants: each has the same original.
/// Answers how many were there.
pub async fn erase(
    on: &DatabaseTransaction,
    network: &[u8; 32],
    issuer: &str,
    content: &[u8],
    at: i64,
) -> Result<u64, DbErr> {
    let erased = document::Entity::update_many()
        .col_expr(document::Column::Key, Expr::value(vec![0_u8; KEY]))
        .col_expr(document::Column::Body, Expr::value(Vec::<u8>::new()))
        .col_expr(document::Column::ErasedAt, Expr::value(at))
        .filter(document::Column::Network.eq(network.as_slice()))
        .filter(document::Column::Issuer.eq(issuer))
        .filter(document::Column::Content.eq(content))
        .filter(document::Column::ErasedAt.is_null())
        .exec(on)
        .await?;
    // What is left of them stays, so that nobody brings them back.
    waiting::Entity::delete_many()
        .filter(waiting::Column::Network.eq(network.as_slice()))
        .filter(waiting::Column::Issuer.eq(issuer))
        .filter(waiting::Column::Content.eq(content))
        .exec(on)
        .await?;
    Ok(erased.rows_affected)
}

/// Those that wait since before `$1` and whose invoice can't come any more: its network is followed to a time at which the
/// statement has long expired, and nothing that old is in the outbox, where what expires is signed again; a document is a
/// little older than its row there.
const OVER: &str = "SELECT w.network, w.issuer, w.content, w.variant FROM documents_waiting w JOIN followed f ON f.network = \
                    w.network WHERE w.created_at < $1 AND w.created_at < f.time - 3600000 AND w.created_at < (SELECT \
                    COALESCE(MIN(created_at) - 3600000, $1) FROM outbox)";

/// Forgets documents made before `before` whose invoice didn't come onto the ledger and can't come any more.
pub async fn forget(on: &DatabaseTransaction, before: i64) -> Result<(), DbErr> {
    for table in ["documents", "documents_waiting"] {
        let sql = format!("DELETE FROM {table} WHERE (network, issuer, content, variant) IN ({OVER})");
        raw(on, &sql, before).await?;
    }
    Ok(())
}

/// Forgets documents whose invoice didn't come onto a network that is gone.
pub async fn abandon(on: &DatabaseTransaction, network: &[u8; 32]) -> Result<(), DbErr> {
    use document::Column as C;
    let key = [C::Network, C::Issuer, C::Content, C::Variant];
    let waiting = waiting::Entity::find()
        .select_only()
        .columns(waiting::PrimaryKey::iter().map(|key| key.into_column()))
        .filter(waiting::Column::Network.eq(network.as_slice()));
    document::Entity::delete_many()
        .filter(Expr::tuple(key.map(Expr::col)).in_subquery(waiting.into_query()))
        .exec(on)
        .await?;
    waiting::Entity::delete_many()
        .filter(waiting::Column::Network.eq(network.as_slice()))
        .exec(on)
        .await?;
    Ok(())
}

/// Writes invoices as they are now. An older version never takes the place of a newer one. A row without a leaf leaves that
/// which is there: only the step that makes an invoice knows it.
pub async fn project(on: &DatabaseTransaction, rows: &[invoice::Model]) -> Result<(), DbErr> {
    use invoice::Column as C;
    let others = C::iter().filter(|column| !matches!(column, C::Network | C::Record | C::Leaf));
    let leaf = "CASE WHEN excluded.leaf > 0 THEN excluded.leaf ELSE invoices.leaf END";
    let mut conflict = OnConflict::columns([C::Network, C::Record]);
    conflict
        .update_columns(others)
        .value(C::Leaf, Expr::cust(leaf))
        .action_and_where(Expr::cust("excluded.version >= invoices.version"));
    for rows in rows.chunks(ROWS) {
        add(on, rows.iter().cloned(), &conflict).await?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
