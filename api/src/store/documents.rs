//! Writes of documents and invoices, inside the writer's transaction.

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, Iterable, QueryFilter};

use super::entity::{document, invoice};
use super::writer::raw;

/// Rows of one statement: bounded by the parameters that one may have.
const ROWS: usize = 200;
/// Bytes of a wrapped key: nonce, key, tag.
const KEY: usize = 24 + 32 + 16;

/// Inserts documents. One whose invoice didn't come onto the ledger is sent again: it is as new, and its report may be
/// another. One that was kept or erased stays.
pub async fn insert(on: &DatabaseTransaction, rows: &[document::Model]) -> Result<(), DbErr> {
    use document::Column as C;
    let mut conflict = OnConflict::columns([C::Network, C::Issuer, C::Content]);
    conflict
        .update_columns([C::Key, C::Body, C::CreatedAt])
        .action_and_where(Expr::cust("NOT documents.kept AND documents.erased_at IS NULL"));
    for rows in rows.chunks(ROWS) {
        document::Entity::insert_many(rows.iter().map(|row| row.clone().into_active_model()))
            .on_conflict(conflict.clone())
            .exec_without_returning(on)
            .await?;
    }
    Ok(())
}

/// Notes that invoices on the ledger have documents: pairs of issuer and content.
pub async fn keep(on: &DatabaseTransaction, network: &[u8; 32], documents: &[(String, Vec<u8>)]) -> Result<(), DbErr> {
    for documents in documents.chunks(ROWS) {
        let (issuers, contents): (Vec<&str>, Vec<&[u8]>) = documents
            .iter()
            .map(|(issuer, content)| (issuer.as_str(), content.as_slice()))
            .unzip();
        // Each in its list is nearly as good as both in one pair: what is kept too long is encrypted, and somebody's own.
        document::Entity::update_many()
            .col_expr(document::Column::Kept, Expr::value(true))
            .filter(document::Column::Network.eq(network.as_slice()))
            .filter(document::Column::Issuer.is_in(issuers))
            .filter(document::Column::Content.is_in(contents))
            .exec(on)
            .await?;
    }
    Ok(())
}

/// Overwrites a document's key in its place and drops the ciphertext. Answers how many were there.
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

/// Forgets documents made before `before` whose invoice didn't come onto the ledger and can't come any more: its network is
/// followed to a time at which the statement has long expired, and nothing that old is in the outbox, where what expires is
/// signed again; a document is a little older than its row there.
pub async fn forget(on: &DatabaseTransaction, before: i64) -> Result<(), DbErr> {
    let sql = "DELETE FROM documents WHERE NOT kept AND created_at < $1 AND created_at < (SELECT COALESCE(MIN(created_at) \
               - 3600000, $1) FROM outbox) AND created_at < (SELECT followed.time - 3600000 FROM followed WHERE \
               followed.network = documents.network)";
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
