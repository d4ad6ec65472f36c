//! A template within a gateway's Offer.

use symbolon_policy::{AccessPath, TemplateName};
use symbolon_wire::{Decode, Encode, Reader, WireError, Writer};

use super::{Charset, Field, FieldKind, MAX_FIELDS, MAX_OPTIONS, RegistrationTemplate};

impl Encode for RegistrationTemplate {
    fn encode(&self, w: &mut Writer) {
        self.name.encode(w);
        w.text16(&self.title);
        w.text16(&self.intro);
        w.text8(&self.name_field);
        self.path_prefix.encode(w);
        w.list16(&self.fields, |w, field| {
            w.text8(&field.id);
            w.text16(&field.label);
            w.text16(&field.help);
            w.flag(field.required);
            encode_kind(&field.kind, w);
        });
    }
}

impl Decode for RegistrationTemplate {
    /// Bounds are those of [`RegistrationTemplate::from_toml`]: a hostile gateway gets no further.
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Self {
            name: TemplateName::decode(r)?,
            title: r.text16("title")?.to_owned(),
            intro: r.text16("intro")?.to_owned(),
            name_field: r.text8("name field")?.to_owned(),
            path_prefix: AccessPath::decode(r)?,
            fields: r.list16("fields", MAX_FIELDS, |r| {
                Ok(Field {
                    id: r.text8("field id")?.to_owned(),
                    label: r.text16("label")?.to_owned(),
                    help: r.text16("help")?.to_owned(),
                    required: r.flag()?,
                    kind: decode_kind(r)?,
                })
            })?,
        }
        .checked()
        .map_err(|_| WireError::BadValue("registration template"))
    }
}

fn encode_kind(kind: &FieldKind, w: &mut Writer) {
    match kind {
        FieldKind::Text { length, charset } => {
            w.u8(0);
            w.u16(*length.start());
            w.u16(*length.end());
            w.u8(match charset {
                Charset::Letters => 0,
                Charset::Digits => 1,
                Charset::Alnum => 2,
                Charset::Any => 3,
            });
        }
        FieldKind::Email => w.u8(1),
        FieldKind::Phone => w.u8(2),
        FieldKind::Date => w.u8(3),
        FieldKind::Integer { range } => {
            w.u8(4);
            w.u64(range.start().cast_unsigned());
            w.u64(range.end().cast_unsigned());
        }
        FieldKind::Choice { options } => {
            w.u8(5);
            w.list16(options, |w, o| w.text16(o));
        }
        FieldKind::MultiChoice { options } => {
            w.u8(6);
            w.list16(options, |w, o| w.text16(o));
        }
        FieldKind::Boolean => w.u8(7),
        FieldKind::UserName => w.u8(8),
    }
}

fn decode_kind(r: &mut Reader<'_>) -> Result<FieldKind, WireError> {
    let options =
        |r: &mut Reader<'_>| r.list16("options", MAX_OPTIONS, |r| r.text16("option").map(str::to_owned));
    Ok(match r.u8()? {
        0 => FieldKind::Text {
            length: r.u16()?..=r.u16()?,
            charset: match r.u8()? {
                0 => Charset::Letters,
                1 => Charset::Digits,
                2 => Charset::Alnum,
                3 => Charset::Any,
                _ => return Err(WireError::BadValue("charset")),
            },
        },
        1 => FieldKind::Email,
        2 => FieldKind::Phone,
        3 => FieldKind::Date,
        4 => FieldKind::Integer { range: r.u64()?.cast_signed()..=r.u64()?.cast_signed() },
        5 => FieldKind::Choice { options: options(r)? },
        6 => FieldKind::MultiChoice { options: options(r)? },
        7 => FieldKind::Boolean,
        8 => FieldKind::UserName,
        _ => return Err(WireError::BadValue("kind of field")),
    })
}
