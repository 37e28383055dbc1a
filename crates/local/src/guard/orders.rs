//! What supervisor and guard tell each other over their socket: orders as single bytes, reports as lines.

use std::fmt;

/// From the supervisor to the guard. The end of the stream is an order too: the supervisor is gone, kill the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// `SIGTERM` to the command's process group.
    Terminate,
    /// `SIGKILL` to the whole tree.
    Kill,
}

impl Order {
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Terminate => b'T',
            Self::Kill => b'K',
        }
    }

    pub(crate) fn parse(byte: u8) -> Option<Self> {
        [Self::Terminate, Self::Kill].into_iter().find(|order| order.byte() == byte)
    }
}

/// From the guard to the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The command's process id, once it is started.
    Pid(u32),
    /// The command ended with this code, and nothing of its tree is left.
    Exit(i32),
    /// The command was ended by this signal, and nothing of its tree is left.
    Signal(i32),
}

impl Report {
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (word, number) = line.split_once(' ')?;
        match word {
            "pid" => number.parse().ok().map(Self::Pid),
            "exit" => number.parse().ok().map(Self::Exit),
            "signal" => number.parse().ok().map(Self::Signal),
            _ => None,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pid(pid) => write!(f, "pid {pid}"),
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_side_writes_the_other_reads() {
        for report in [Report::Pid(7), Report::Exit(-1), Report::Signal(9)] {
            assert_eq!(Report::parse(&report.to_string()), Some(report));
        }
        for order in [Order::Terminate, Order::Kill] {
            assert_eq!(Order::parse(order.byte()), Some(order));
        }
        assert_eq!((Report::parse("pid x"), Report::parse(""), Order::parse(b'x')), (None, None, None));
    }
}
