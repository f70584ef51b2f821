//! `list_instances`: boto 2.49's script, sorted by launch time with the newest last, and with columns that never run
//! into each other.
//!
//! Next: [`super::client`].

use std::fmt::Write;

use anyhow::Context;
use clap::Args;
use evenkeel_aws::ec2::{Filter, Instance, Reservation};

use super::client::Client;
use super::failure::{Outcome, hinted};
use super::settings::Reach;
use super::streams::Streams;

const DEFAULT_COLUMNS: &str = "ID,Zone,Groups,Hostname";

const EXAMPLES: &str = "\
Columns: ID, Zone, Groups, Hostname, PrivateHostname, State, Image, Type, IP, PrivateIP, Key, T:TAG

Examples:
  list_instances
  list_instances -H ID,Zone,State,T:Name
  list_instances -t -H ID -f instance-state-name=running | xargs elbadmin add web";

/// Arguments of `list_instances`.
#[derive(Debug, Clone, Default, Args)]
#[command(version, after_help = EXAMPLES, infer_long_args = true)]
pub struct ListInstances {
    /// Region [default: AWS_REGION, else us-east-1]
    #[arg(short = 'r', long, value_name = "REGION")]
    pub region: Option<String>,
    /// Columns to show, separated by commas; T:TAG shows a tag
    #[arg(short = 'H', long, value_name = "COLUMNS", default_value = DEFAULT_COLUMNS)]
    pub headers: String,
    /// Separate columns by tabs and leave out the header: useful in shell scripts
    #[arg(short = 't', long)]
    pub tab: bool,
    /// Filters of DescribeInstances, as in key1=value1,key2=value2
    #[arg(short = 'f', long, value_name = "FILTERS")]
    pub filter: Option<String>,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Lists instances.
///
/// # Errors
/// An unknown column, a malformed filter, and those of the client.
pub fn run(args: &ListInstances, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    if let Some(region) = args.region.as_deref()
        && !client.regions()?.iter().any(|served| served == region)
    {
        writeln!(streams.out, "Region {region} not found.")?;
        return Ok(Outcome::Failed);
    }
    let columns = args.headers.split(',').map(Column::parse).collect::<anyhow::Result<Vec<_>>>()?;
    let filters = args.filter.as_deref().map_or_else(|| Ok(Vec::new()), filters)?;
    let reservations = client.reservations(filters, Vec::new()).context("failed to list instances")?;
    let rows = rows(&reservations, &columns);
    let text = if args.tab { tabbed(&rows) } else { table(&columns, &rows) };
    write!(streams.out, "{text}")?;
    Ok(Outcome::Done)
}

/// One column, as `-H` names it.
#[derive(Debug, Clone)]
enum Column {
    Known { name: &'static str, width: usize, cell: fn(&Reservation, &Instance) -> String },
    Tag(String),
}

impl Column {
    fn parse(name: &str) -> anyhow::Result<Self> {
        if let Some(tag) = name.strip_prefix("T:") {
            return Ok(Self::Tag(tag.to_owned()));
        }
        let cell: (&'static str, usize, fn(&Reservation, &Instance) -> String) = match name {
            "ID" => ("ID", 15, |_, i| i.instance_id.clone()),
            "Zone" => ("Zone", 15, |_, i| i.placement.availability_zone.clone()),
            "Groups" => ("Groups", 30, |r, _| {
                r.group_set.iter().map(|group| group.group_name.as_str()).collect::<Vec<_>>().join(",")
            }),
            "Hostname" => ("Hostname", 50, |_, i| i.dns_name.clone()),
            "PrivateHostname" => ("PrivateHostname", 50, |_, i| i.private_dns_name.clone()),
            "State" => ("State", 15, |_, i| i.instance_state.name.clone()),
            "Image" => ("Image", 15, |_, i| i.image_id.clone()),
            "Type" => ("Type", 15, |_, i| i.instance_type.clone()),
            "IP" => ("IP", 16, |_, i| i.ip_address.clone()),
            "PrivateIP" => ("PrivateIP", 16, |_, i| i.private_ip_address.clone()),
            "Key" => ("Key", 25, |_, i| i.key_name.clone()),
            _ => {
                let hint = "columns are ID, Zone, Groups, Hostname, PrivateHostname, State, Image, Type, IP, PrivateIP, \
                            Key and T:TAG";
                return Err(hinted(format!("failed to choose columns: there is no `{name}`"), hint));
            }
        };
        Ok(Self::Known { name: cell.0, width: cell.1, cell: cell.2 })
    }

    fn head(&self) -> String {
        match self {
            Self::Known { name, .. } => (*name).to_owned(),
            Self::Tag(tag) => format!("T:{tag}"),
        }
    }

    fn width(&self) -> usize {
        match self {
            Self::Known { width, .. } => *width,
            Self::Tag(_) => 30,
        }
    }

    fn cell(&self, reservation: &Reservation, instance: &Instance) -> String {
        match self {
            Self::Known { cell, .. } => cell(reservation, instance),
            Self::Tag(tag) => {
                instance.tag_set.iter().find(|found| found.key == *tag).map(|tag| tag.value.clone()).unwrap_or_default()
            }
        }
    }
}

/// `key=value,…`. As boto does it, `_` in a key is sent as `-`, but not in the name of a tag.
fn filters(text: &str) -> anyhow::Result<Vec<Filter>> {
    text.split(',')
        .map(|entry| {
            let (name, value) = entry.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
                hinted(format!("failed to read filter `{entry}`"), "write it like `-f instance-state-name=running`")
            })?;
            let name = if name.starts_with("tag:") { name.to_owned() } else { name.replace('_', "-") };
            Ok(Filter { name, values: vec![value.to_owned()] })
        })
        .collect()
}

/// Cells by row, oldest launch first; launches of the same time stay in the daemon's order.
fn rows(reservations: &[Reservation], columns: &[Column]) -> Vec<Vec<String>> {
    let mut instances: Vec<(&Reservation, &Instance)> =
        reservations.iter().flat_map(|r| r.instances_set.iter().map(move |i| (r, i))).collect();
    instances.sort_by_key(|(_, instance)| instance.launch_time);
    instances.iter().map(|(r, i)| columns.iter().map(|column| column.cell(r, i)).collect()).collect()
}

fn tabbed(rows: &[Vec<String>]) -> String {
    rows.iter().map(|cells| cells.join("\t") + "\n").collect()
}

/// boto's columns have no separator: a cell as wide as its column would run into the next, so such a column is widened.
fn table(columns: &[Column], rows: &[Vec<String>]) -> String {
    let heads: Vec<String> = columns.iter().map(Column::head).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| {
            let longest = rows.iter().chain([&heads]).map(|cells| cells[at].chars().count()).max().unwrap_or(0);
            let gap = usize::from(at + 1 < columns.len());
            columns[at].width().max(longest + gap)
        })
        .collect();
    let mut text = String::new();
    let mut line = |cells: &[String]| {
        for (cell, width) in cells.iter().zip(&widths) {
            // A String takes whatever is written to it.
            let _ = write!(text, "{cell:<width$}");
        }
        text.push('\n');
    };
    line(&heads);
    line(&["-".repeat(widths.iter().sum())]);
    for cells in rows {
        line(cells);
    }
    text
}

#[cfg(test)]
#[path = "list_instances_tests.rs"]
mod tests;
