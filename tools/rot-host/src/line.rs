//! Requests on the line, one after the other. Whoever boots uses this; the system's own driver does better
//! (`drivers/rot-mailbox`).

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rot_protocol::data::{Info, LogHead, Measurement};
use rot_protocol::frame::{Decoder, Frame, Kind, MAX_REPLY_BYTES, MAX_REQUEST_BYTES};
use rot_protocol::{command, status};
use zerocopy::{FromBytes, IntoBytes};

/// How long one answer may take until the request is sent again.
const TRY: Duration = Duration::from_secs(2);
/// How often a request is sent.
const TRIES: usize = 4;
/// How long the machine may take to come up.
const START: Duration = Duration::from_secs(30);

/// Why a request did not succeed.
#[derive(Debug)]
pub enum LineError {
    /// The root of trust refuses, with this status.
    Refused(u32),
    /// It does not answer.
    Silent,
    /// Its answer is not one to that request.
    Garbled,
    /// The line is gone.
    Gone(io::Error),
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LineError::Refused(code) => f.write_str(status::text(*code)),
            LineError::Silent => f.write_str("the root of trust does not answer"),
            LineError::Garbled => f.write_str("the root of trust answers nonsense"),
            LineError::Gone(why) => write!(f, "the line to the root of trust is gone: {why}"),
        }
    }
}

impl std::error::Error for LineError {}

/// The line.
pub struct Line {
    socket: UnixStream,
    id: u32,
    decoder: Box<Decoder<MAX_REPLY_BYTES>>,
}

impl Line {
    /// Begins a session; the machine may still be starting.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn open(socket: UnixStream) -> Result<Line, LineError> {
        let mut line = Line { socket, id: std::process::id() << 8, decoder: Box::default() };
        let deadline = Instant::now() + START;
        let greeting = u64::from(line.id).to_le_bytes();
        loop {
            match line.request(command::SYNC, &greeting) {
                Ok(echo) if echo == greeting => return Ok(line),
                Ok(_) => return Err(LineError::Garbled),
                Err(LineError::Silent) if Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The socket, for whoever speaks next. Nothing is under way.
    pub fn into_socket(self) -> UnixStream {
        self.socket
    }

    /// Sends a request and gives the answer's data.
    ///
    /// # Errors
    /// See [`LineError`].
    pub fn request(&mut self, code: u32, data: &[u8]) -> Result<Vec<u8>, LineError> {
        self.id = self.id.wrapping_add(1);
        let mut line = [0; MAX_REQUEST_BYTES];
        let frame = Frame::request(self.id, code, data).encode(&mut line);
        let length = frame.ok_or(LineError::Refused(status::BAD_LENGTH))?;
        for _ in 0..TRIES {
            self.socket.write_all(&line[..length]).map_err(LineError::Gone)?;
            let deadline = Instant::now() + TRY;
            if let Some((answer, data)) = self.receive(code, deadline)? {
                return if answer == status::OK { Ok(data) } else { Err(LineError::Refused(answer)) };
            }
        }
        Err(LineError::Silent)
    }

    /// The answer to the last request, if it comes in time.
    fn receive(&mut self, code: u32, deadline: Instant) -> Result<Option<(u32, Vec<u8>)>, LineError> {
        let mut bytes = [0; 512];
        loop {
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return Ok(None);
            };
            self.socket.set_read_timeout(Some(left)).map_err(LineError::Gone)?;
            let count = match self.socket.read(&mut bytes) {
                Ok(0) => return Err(LineError::Gone(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => count,
                Err(why) if matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
                Err(why) => return Err(LineError::Gone(why)),
            };
            for byte in &bytes[..count] {
                // Damaged frames and answers to earlier tries are passed over.
                if let Some(Ok(frame)) = self.decoder.push(*byte)
                    && frame.kind == Kind::Reply
                    && frame.id == self.id
                {
                    let right = frame.command == code && frame.status < status::FIRST_OF_DRIVER;
                    let answer = (frame.status, frame.data.to_vec());
                    return if right { Ok(Some(answer)) } else { Err(LineError::Garbled) };
                }
            }
        }
    }

    /// Who is there, and how it is.
    ///
    /// # Errors
    /// See [`LineError`].
    pub fn info(&mut self) -> Result<Info, LineError> {
        Info::read_from_bytes(&self.request(command::INFO, &[])?).map_err(|_| LineError::Garbled)
    }

    /// Extends a register.
    ///
    /// # Errors
    /// See [`LineError`].
    pub fn extend(&mut self, measurement: &Measurement) -> Result<(), LineError> {
        self.request(command::EXTEND, measurement.as_bytes()).map(|_| ())
    }

    /// The whole log, and how many entries it lacks.
    ///
    /// # Errors
    /// See [`LineError`].
    pub fn log(&mut self) -> Result<(Vec<Measurement>, u32), LineError> {
        let mut entries = Vec::new();
        loop {
            let part = self.request(command::LOG, &(entries.len() as u16).to_le_bytes())?;
            let (head, rest) = LogHead::read_from_prefix(&part).map_err(|_| LineError::Garbled)?;
            let more = <[Measurement]>::ref_from_bytes(rest).map_err(|_| LineError::Garbled)?;
            entries.extend_from_slice(more);
            if entries.len() >= usize::from(head.total.get()) || more.is_empty() {
                return Ok((entries, head.lost.get()));
            }
        }
    }
}
