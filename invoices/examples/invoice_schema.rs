//! Prints the JSON schema of the JSON form.

fn main() -> Result<(), serde_json::Error> {
    println!("{}", serde_json::to_string_pretty(&muniment_invoices::json_schema())?);
    Ok(())
}
