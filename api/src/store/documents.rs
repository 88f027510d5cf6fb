//! Writes of documents and invoices, inside the writer's transaction.

use std::collections::BTreeMap;

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, Iterable, QueryFilter};

use super::entity::{document, invoice};
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

/// Inserts documents. Those of another variant stay as they are: the ledger may have taken either. One whose invoice
/// didn't come onto the ledger is sent again: it is as new, and says the same. One that was kept or erased stays.
pub async fn insert(on: &DatabaseTransaction, rows: &[document::Model]) -> Result<(), DbErr> {
    use document::Column as C;
    let mut conflict = OnConflict::columns([C::Network, C::Issuer, C::Content, C::Variant]);
    conflict
        .update_column(C::CreatedAt)
        .action_and_where(Expr::cust("NOT documents.kept AND documents.erased_at IS NULL"));
    // No statement may meet a row twice: PostgreSQL refuses it whole.
    let different: BTreeMap<_, _> = rows
        .iter()
        .map(|row| ((&row.network, &row.issuer, &row.content, &row.variant), row))
        .collect();
    let rows: Vec<&document::Model> = different.into_values().collect();
    for rows in rows.chunks(ROWS) {
        document::Entity::insert_many(rows.iter().map(|row| (*row).clone().into_active_model()))
            .on_conflict(conflict.clone())
            .exec_without_returning(on)
            .await?;
    }
    Ok(())
}

/// Notes that invoices on the ledger have documents.
pub async fn keep(on: &DatabaseTransaction, network: &[u8; 32], documents: &[DocumentKey]) -> Result<(), DbErr> {
    for documents in documents.chunks(ROWS) {
        let issuers = documents.iter().map(|key| key.issuer.as_str());
        let contents = documents.iter().map(|key| key.content.as_slice());
        let variants = documents.iter().map(|key| key.variant.as_slice());
        // Each in its list is nearly as good as all in one key: what is kept too long is encrypted, and somebody's own.
        document::Entity::update_many()
            .col_expr(document::Column::Kept, Expr::value(true))
            .filter(document::Column::Network.eq(network.as_slice()))
            .filter(document::Column::Issuer.is_in(issuers))
            .filter(document::Column::Content.is_in(contents))
            .filter(document::Column::Variant.is_in(variants))
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
    Ok(erased.rows_affected)
}

/// Forgets documents made before `before` whose invoice didn't come onto the ledger. One that is still in the outbox may
/// come: its document is a little older than its row there.
pub async fn forget(on: &DatabaseTransaction, before: i64) -> Result<(), DbErr> {
    let sql = "DELETE FROM documents WHERE NOT kept AND created_at < $1 AND created_at < (SELECT COALESCE(MIN(created_at) \
               - 3600000, $1) FROM outbox)";
    raw(on, sql, before).await
}

/// Writes invoices as they are now. An older version never takes the place of a newer one.
pub async fn project(on: &DatabaseTransaction, rows: &[invoice::Model]) -> Result<(), DbErr> {
    let keys = [invoice::Column::Network, invoice::Column::Record];
    let others =
        invoice::Column::iter().filter(|column| !matches!(column, invoice::Column::Network | invoice::Column::Record));
    let mut conflict = OnConflict::columns(keys);
    conflict
        .update_columns(others)
        .action_and_where(Expr::cust("excluded.version >= invoices.version"));
    for rows in rows.chunks(ROWS) {
        invoice::Entity::insert_many(rows.iter().map(|row| row.clone().into_active_model()))
            .on_conflict(conflict.clone())
            .exec_without_returning(on)
            .await?;
    }
    Ok(())
}
