//! Channels between protection domains.

use super::Reader;
use super::xml::{Attribute, Element};
use crate::error::Result;
use crate::model::{Channel, ChannelEnd, SetVarValue};
use kernel_layout::MAX_CHANNEL_ID;

impl<'a> Reader<'a> {
    /// Reads a `channel`.
    pub(super) fn channel(&mut self, element: &Element<'a>) -> Result<()> {
        element.allow(&[])?;
        let mut ends = Vec::new();
        for child in element.children() {
            if child.tag() != "end" {
                return Err(element.unknown_child(&child, "end"));
            }
            ends.push(self.channel_end(&child)?);
        }
        let count = ends.len();
        let Ok([(first, first_symbol), (second, second_symbol)]) = <[_; 2]>::try_from(ends) else {
            return Err(element.error(format!("a channel has exactly two <end> elements; here are {count}")));
        };
        if first.pp && second.pp {
            return Err(element.error("both ends have pp=\"true\"; calls go one way, to the higher priority"));
        }
        for (end, symbol) in [(first, first_symbol), (second, second_symbol)] {
            if let Some(symbol) = symbol {
                self.add_setvar(end.pd, symbol, SetVarValue::Number(end.id.into()))?;
            }
        }
        self.system.channels.push(Channel { ends: [first, second] });
        Ok(())
    }

    fn channel_end(&self, element: &Element<'a>) -> Result<(ChannelEnd, Option<Attribute<'a>>)> {
        element.allow(&["pd", "id", "pp", "notify", "setvar_id"])?;
        let name = element.required("pd")?;
        let Some(&pd) = self.pd_names.get(name.value) else {
            return Err(
                name.error(format!("there is no such protection domain{}", super::one_of(self.pd_names.keys())))
            );
        };
        let end = ChannelEnd {
            pd,
            id: element.required("id")?.id(MAX_CHANNEL_ID)?,
            notify: element.boolean_or("notify", true)?,
            pp: element.boolean_or("pp", false)?,
            location: element.location(),
        };
        Ok((end, element.optional("setvar_id")))
    }
}
