//! One client: its link, its data region, its jobs.

use heapless::Deque;
use protocols::model::{JobResult, MAX_JOBS, Reply, Request, Status, TENSOR_ALIGN, code, kind};
use ring::{BufferError, Buffers, Link, LinkError, Notify, Span};

use crate::models::ModelSet;
use crate::region::DataRegion;

/// An accepted job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub request: Request,
    /// When it was accepted, in nanoseconds.
    pub accepted_ns: u64,
}

impl Job {
    /// Whether its time is up.
    pub fn is_late(&self, now_ns: u64) -> bool {
        let deadline = self.request.deadline_ns;
        deadline != 0 && now_ns.saturating_sub(self.accepted_ns) >= deadline
    }
}

/// What is to become of the job that is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It runs on.
    Run,
    /// Its client cancelled it.
    Cancelled,
    /// Its client began anew and does not know it any more.
    Abandoned,
}

/// What the runner knows of a client.
pub(crate) struct Client<N> {
    link: Link<Reply, Request, N>,
    pub region: DataRegion,
    buffers: Buffers<{ 2 * MAX_JOBS }>,
    queue: Deque<Job, MAX_JOBS>,
    /// The job that is running, and what is to become of it.
    running: Option<(Job, Fate)>,
}

/// What the client's requests may look at and count.
pub(crate) struct Context<'a> {
    pub models: &'a dyn Fn(usize) -> Option<protocols::model::ModelInfo>,
    pub status: &'a mut Status,
    pub now_ns: u64,
}

impl<N: Notify> Client<N> {
    pub fn new(link: Link<Reply, Request, N>, region: DataRegion) -> Self {
        let buffers = Buffers::new(region.bytes(), TENSOR_ALIGN);
        Client { link, region, buffers, queue: Deque::new(), running: None }
    }

    /// Jobs that are queued or running.
    pub fn waiting(&self) -> usize {
        self.queue.len() + usize::from(self.running.is_some())
    }

    /// Takes in what the client has sent, as far as there is room for the replies. True if there may be more.
    pub fn serve(&mut self, context: &mut Context<'_>) -> Result<bool, LinkError> {
        if self.link.poll()? {
            self.forget(context.status);
        }
        // At most one ring of requests a turn, so that one client cannot keep the others waiting.
        for _ in 0..self.link.capacity() {
            // Room for this reply and for those of all accepted jobs.
            if !self.link.reserve(self.waiting() + 2)? {
                return Ok(false);
            }
            let Some(request) = self.link.pop()? else { return Ok(false) };
            self.answer(&request, context);
        }
        Ok(true)
    }

    /// The client began anew: its jobs are gone.
    fn forget(&mut self, status: &mut Status) {
        status.abandoned += self.queue.len() as u64;
        self.queue.clear();
        self.buffers.clear();
        if let Some((job, fate)) = &mut self.running {
            *fate = Fate::Abandoned;
            // The running job's buffers stay taken until it stops.
            let spans = [job.request.input, job.request.output];
            let taken = self.buffers.take_all(&spans);
            debug_assert!(taken.is_ok());
        }
    }

    fn answer(&mut self, request: &Request, context: &mut Context<'_>) {
        let answer = match request.kind {
            _ if request.reserved != 0 => Err(code::BAD_REQUEST),
            kind::SUBMIT => match self.submit(request, context) {
                Ok(()) => return,
                Err(code) => Err(code),
            },
            kind::CANCEL => self.cancel(request.job, context),
            kind::STATUS => {
                let reply = Reply::new(request, code::DONE).with_body(&*context.status);
                return self.reply(&reply);
            }
            kind::MODEL_INFO => match (context.models)(request.model as usize) {
                Some(info) => return self.reply(&Reply::new(request, code::DONE).with_body(&info)),
                None => Err(code::NO_MODEL),
            },
            _ => Err(code::BAD_REQUEST),
        };
        if answer.is_err() {
            context.status.refused += 1;
        }
        self.reply(&Reply::new(request, answer.err().unwrap_or(code::DONE)));
    }

    fn submit(&mut self, request: &Request, context: &mut Context<'_>) -> Result<(), u32> {
        let info = (context.models)(request.model as usize).ok_or(code::NO_MODEL)?;
        if (request.input.bytes, request.output.bytes) != (info.input_bytes, info.output_bytes) {
            return Err(code::BAD_BUFFER);
        }
        if self.waiting() >= MAX_JOBS {
            return Err(code::QUEUE_FULL);
        }
        let running = self.running.as_ref().map(|(job, _)| job);
        if self.queue.iter().chain(running).any(|job| job.request.job == request.job) {
            return Err(code::JOB_EXISTS);
        }
        self.buffers.take_all(&[request.input, request.output]).map_err(|error| match error {
            BufferError::InUse => code::BUFFER_IN_USE,
            BufferError::TooMany => code::QUEUE_FULL,
            _ => code::BAD_BUFFER,
        })?;
        let job = Job { request: *request, accepted_ns: context.now_ns };
        self.queue.push_back(job).map_err(|_| code::QUEUE_FULL)
    }

    fn cancel(&mut self, number: u32, context: &mut Context<'_>) -> Result<(), u32> {
        if let Some((job, fate)) = &mut self.running
            && job.request.job == number
            && *fate == Fate::Run
        {
            *fate = Fate::Cancelled;
            return Ok(());
        }
        let mut found = None;
        for _ in 0..self.queue.len() {
            let Some(job) = self.queue.pop_front() else { break };
            if job.request.job == number {
                found = Some(job);
            } else {
                let _ = self.queue.push_back(job);
            }
        }
        let job = found.ok_or(code::NO_JOB)?;
        context.status.cancelled += 1;
        self.finish(&job, code::CANCELLED, JobResult::default());
        Ok(())
    }

    /// The next job to run, which is running from now on.
    pub fn start_next(&mut self) -> Option<Job> {
        let job = self.queue.pop_front()?;
        self.running = Some((job, Fate::Run));
        Some(job)
    }

    /// What is to become of the running job.
    pub fn fate(&self) -> Fate {
        self.running.as_ref().map_or(Fate::Abandoned, |(_, fate)| *fate)
    }

    /// The running job has ended.
    pub fn end_running(&mut self, code: u32, result: JobResult) {
        if let Some((job, fate)) = self.running.take() {
            if fate == Fate::Abandoned {
                self.release(&job);
            } else {
                self.finish(&job, code, result);
            }
        }
    }

    fn release(&mut self, job: &Job) {
        for span in [job.request.input, job.request.output] {
            let _ = self.buffers.give_back(span);
        }
    }

    /// Gives the buffers back, then says so.
    fn finish(&mut self, job: &Job, code: u32, mut result: JobResult) {
        self.release(job);
        result.output = if code == code::DONE { job.request.output } else { Span::default() };
        self.reply(&Reply::new(&job.request, code).with_body(&result));
    }

    fn reply(&mut self, reply: &Reply) {
        // There was room when the request was taken; a client that restarted since has nobody to read it.
        let _ = self.link.push(reply);
    }
}

/// The models as the clients' requests see them.
pub(crate) fn lookup(models: &ModelSet) -> impl Fn(usize) -> Option<protocols::model::ModelInfo> + '_ {
    |index| models.info(index).copied()
}
