//! What a caller asks for with an invoice: parameters of the query, or members of a batch and its items.

use actix_web::HttpRequest;
use actix_web::web::Bytes;
use muniment_invoices::Profile;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::body;
use crate::invoice::judge::{self, Source};
use crate::problem::{ApiError, Code};

/// What the document itself doesn't say.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, utoipa::IntoParams, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Who receives the invoice: a party of the tenant, the tenant, or a member's key. Required.
    pub recipient: Option<String>,
    /// Rules: `en16931` (default), `xrechnung` or `peppol`.
    pub profile: Option<String>,
    /// Who may report payments beside the payee: party or key.
    pub agent: Option<String>,
    /// Authority that it is reported to: party or key.
    pub authority: Option<String>,
    /// When it must be reported by, RFC 3339; needs `authority`.
    pub report_by: Option<String>,
    /// Tax regime, for information; without it the seller's country.
    pub regime: Option<String>,
    /// Series that the invoice has its place in; without it the empty one. A number is used once in all series.
    pub series: Option<String>,
    /// `auto`: the next number of the series, with the JSON form only.
    pub number: Option<String>,
    /// Record of the invoice that this credit note is for; without it the caller's invoice with the preceding number.
    pub credits: Option<String>,
    /// Record of the invoice that this one takes the place of; a corrected invoice (384) without it replaces the caller's
    /// invoice with the preceding number.
    pub replaces: Option<String>,
    /// Put a salted commitment to the buyer's tax id on the ledger in place of the id. The supplier's is always open: its
    /// invoices are told apart by it.
    pub committed: Option<bool>,
}

/// Names of the members of [`Asked`].
const FIELDS: &[&str] = &[
    "recipient",
    "profile",
    "agent",
    "authority",
    "reportBy",
    "regime",
    "series",
    "number",
    "credits",
    "replaces",
    "committed",
];

impl Asked {
    /// The rules.
    pub fn profile(&self) -> Result<Profile, ApiError> {
        match self.profile.as_deref() {
            None | Some("en16931") => Ok(Profile::En16931),
            Some("xrechnung") => Ok(Profile::XRechnung),
            Some("peppol") => Ok(Profile::Peppol),
            Some(_) => {
                let detail = "`profile` must be `en16931`, `xrechnung` or `peppol`";
                Err(ApiError::new(Code::INVALID_FIELD, detail).at("/profile"))
            }
        }
    }

    /// Whether a number is asked for.
    pub fn auto(&self) -> Result<bool, ApiError> {
        match self.number.as_deref() {
            None => Ok(false),
            Some("auto") => Ok(true),
            Some(_) => {
                let detail = "`number` can only be `auto`; any other number stands in the document";
                Err(ApiError::new(Code::INVALID_FIELD, detail).at("/number"))
            }
        }
    }

    fn read(map: Map<String, Value>, at: &str) -> Result<Self, ApiError> {
        serde_json::from_value(Value::Object(map))
            .map_err(|error| ApiError::new(Code::INVALID_FIELD, format!("{error}")).at(at))
    }
}

/// The document of a request, by its media type; without one, by its first character.
///
/// # Errors
/// 422 when it isn't the JSON form.
pub fn source(request: &HttpRequest, bytes: Bytes) -> Result<Source, ApiError> {
    let media_type = request
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    let json = match media_type.map(|text| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()) {
        Some(kind) if kind.ends_with("json") => true,
        Some(kind) if kind.ends_with("xml") => false,
        _ => bytes.trim_ascii_start().starts_with(b"{"),
    };
    if json {
        judge::json_form(&bytes)
    } else {
        Ok(Source::Xml(bytes.to_vec()))
    }
}

/// A number of a series: `<series>-000001`, or without a series `000001`.
pub fn number(series: &str, number: u64) -> String {
    match series {
        "" => format!("{number:06}"),
        series => format!("{series}-{number:06}"),
    }
}

/// The JSON form with a number.
///
/// # Errors
/// 422 for XML, which is never changed, and for a document that has a number.
pub fn with_number(source: Source, number: &str) -> Result<Source, ApiError> {
    match source {
        Source::Json(invoice, _) if invoice.number.is_empty() => judge::numbered(*invoice, number),
        Source::Json(..) => {
            let detail =
                "the document has a number already; leave it out to have it numbered, or leave `number=auto` out";
            Err(ApiError::new(Code::INVALID_FIELD, detail).at("/number"))
        }
        Source::Xml(_) => {
            let detail = "a number can't be put into XML, which is kept byte for byte; send the JSON form, or number it \
                          yourself";
            Err(ApiError::new(Code::INVALID_FIELD, detail).at("/number"))
        }
    }
}

/// One document of a batch.
pub struct BatchItem {
    /// What is asked for with it.
    pub asked: Asked,
    /// The document.
    pub source: Source,
}

/// A batch.
pub struct Batch {
    /// Series of all, if it is to be numbered.
    pub series: String,
    asked: Asked,
    /// The items, or why one can't be read.
    pub items: Vec<Result<BatchItem, ApiError>>,
}

impl Batch {
    /// Reads a batch. What its items don't say, it says for all.
    ///
    /// # Errors
    /// When the batch itself can't be read.
    pub fn read(bytes: &[u8]) -> Result<Self, ApiError> {
        let value = body::json(bytes)?;
        let known: Vec<&str> = FIELDS.iter().copied().chain(["items"]).collect();
        body::array(body::object(&value, "", &known)?, "items", "")?;
        let Value::Object(mut map) = value else {
            return Err(ApiError::internal("an object is no longer one"));
        };
        let Some(Value::Array(items)) = map.remove("items") else {
            return Err(ApiError::internal("items are gone"));
        };
        let asked = Asked::read(map.clone(), "")?;
        let auto = asked.auto()?;
        let items = items.into_iter().map(|item| batch_item(item, &map, auto)).collect();
        Ok(Self {
            series: asked.series.clone().unwrap_or_default(),
            asked,
            items,
        })
    }

    /// Whether numbers are asked for.
    pub fn auto(&self) -> Result<bool, ApiError> {
        self.asked.auto()
    }
}

fn batch_item(value: Value, common: &Map<String, Value>, auto: bool) -> Result<BatchItem, ApiError> {
    let known: Vec<&str> = FIELDS.iter().copied().chain(["xml", "json", "invoice"]).collect();
    body::object(&value, "", &known)?;
    let Value::Object(mut own) = value else {
        return Err(ApiError::internal("an object is no longer one"));
    };
    let source = document(&mut own)?;
    if auto && let Some(field) = ["number", "series"].iter().find(|field| own.contains_key(**field)) {
        let detail = format!("in a batch that is numbered, `{field}` stands beside `items` and is the same for all");
        return Err(ApiError::new(Code::INVALID_FIELD, detail).at(format!("/{field}")));
    }
    if !auto && own.contains_key("number") {
        let detail =
            "only a whole batch is numbered, by `number` beside `items`; any other number stands in the document";
        return Err(ApiError::new(Code::INVALID_FIELD, detail).at("/number"));
    }
    let mut all = common.clone();
    all.extend(own);
    let asked = Asked::read(all, "")?;
    // A place is given after it is known which items are good; until then any number does.
    let source = if auto { with_number(source, "0")? } else { source };
    Ok(BatchItem { asked, source })
}

/// The one document of an item, which is taken out of it.
fn document(own: &mut Map<String, Value>) -> Result<Source, ApiError> {
    let mut given = ["xml", "json", "invoice"]
        .into_iter()
        .filter_map(|name| Some((name, own.remove(name)?)));
    match (given.next(), given.next()) {
        (Some(("xml", Value::String(xml))), None) => Ok(Source::Xml(xml.into_bytes())),
        (Some(("json", Value::String(json))), None) => judge::json_form(json.as_bytes()),
        (Some(("invoice", invoice)), None) => {
            let bytes = serde_json::to_vec(&invoice).map_err(ApiError::internal)?;
            judge::json_form(&bytes)
        }
        (Some((name, other)), None) => Err(body::wrong(name, "the document as a string", &other, "")),
        _ => {
            let detail = "an item has one of `xml`, a document as a string, `json`, the JSON form as a string that is kept \
                          byte for byte, and `invoice`, the JSON form";
            Err(ApiError::new(Code::INVALID_FIELD, detail).at(""))
        }
    }
}
