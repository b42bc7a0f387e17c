//! One client: its link, its data region, its jobs, and what it has used.

use protocols::model::{ClientInfo, JobResult, MAX_JOBS, NO_PD, Reply, Request, TENSOR_ALIGN, code, kind};
use ring::{BufferError, Buffers, Link, LinkError, Notify};

use crate::engine::Spent;
use crate::job::{ABANDONED, Job, State};
use crate::region::DataRegion;

/// Engines: the processor and an accelerator.
pub(crate) const ENGINES: usize = 2;

/// What the runner knows of a client.
pub(crate) struct Client<N> {
    link: Link<Reply, Request, N>,
    pub region: DataRegion,
    buffers: Buffers<{ 2 * MAX_JOBS }>,
    jobs: [Option<Job>; MAX_JOBS],
    /// How many there are.
    live: usize,
    pub counts: ClientInfo,
    /// Nanoseconds of each engine in this window.
    pub used_ns: [u64; ENGINES],
}

impl<N: Notify> Client<N> {
    pub fn new(link: Link<Reply, Request, N>, region: DataRegion) -> Self {
        let buffers = Buffers::new(region.bytes(), TENSOR_ALIGN);
        let jobs = [const { None }; MAX_JOBS];
        Client {
            link,
            region,
            buffers,
            jobs,
            live: 0,
            counts: ClientInfo { pd: NO_PD, ..ClientInfo::default() },
            used_ns: [0; ENGINES],
        }
    }

    /// Whether it is worth while to hear it.
    pub fn has_news(&self) -> bool {
        self.link.has_news()
    }

    pub fn is_connected(&self) -> bool {
        self.link.is_connected()
    }

    pub fn misbehaved(&self) -> u64 {
        self.link.counters().misbehaved
    }

    /// Most requests that one turn takes of it, so that one client cannot keep the others waiting.
    pub fn most_requests(&self) -> usize {
        self.link.capacity()
    }

    /// The jobs that have not ended, with their places.
    pub fn jobs(&self) -> impl Iterator<Item = (usize, &Job)> {
        let jobs: &[Option<Job>] = if self.live == 0 { &[] } else { &self.jobs };
        jobs.iter().enumerate().filter_map(|(place, job)| Some((place, job.as_ref()?)))
    }

    /// The job at this place.
    pub fn job(&mut self, place: usize) -> Option<&mut Job> {
        self.jobs.get_mut(place)?.as_mut()
    }

    /// Replies that are still to come of accepted jobs: one at each end, and one of each run that is under way.
    fn promised(&self) -> usize {
        let run = |job: &Job| usize::from(job.is_periodic() && job.state != State::Waiting);
        self.jobs().map(|(_, job)| 1 + run(job)).sum()
    }

    /// The next request, if there is one and there is room for its reply.
    pub fn next_request(&mut self) -> Result<Option<Request>, LinkError> {
        if self.link.poll()? {
            self.forget();
        }
        // Room for this reply and for all that were promised.
        if !self.link.reserve(self.promised() + 1)? {
            return Ok(None);
        }
        self.link.pop()
    }

    /// The client began anew, and knows nothing of its jobs. Those that are active keep their tensors until they stop.
    fn forget(&mut self) {
        self.buffers.clear();
        for slot in &mut self.jobs {
            match slot {
                Some(job) if matches!(job.state, State::Active(_)) => {
                    job.stop = Some(ABANDONED);
                    let taken = self.buffers.take_all(&job.spans());
                    debug_assert!(taken.is_ok());
                }
                Some(_) => {
                    *slot = None;
                    self.live -= 1;
                    self.counts.abandoned += 1;
                }
                None => {}
            }
        }
    }

    /// Takes a job whose model, tensor sizes and times were checked.
    pub fn accept(&mut self, job: Job) -> Result<(), u32> {
        let number = job.request.job;
        if self.jobs().any(|(_, job)| job.request.job == number && job.stop != Some(ABANDONED)) {
            return Err(code::JOB_EXISTS);
        }
        let slot = self.jobs.iter_mut().find(|slot| slot.is_none()).ok_or(code::QUEUE_FULL)?;
        self.buffers.take_all(&job.spans()).map_err(|error| match error {
            BufferError::InUse => code::BUFFER_IN_USE,
            BufferError::TooMany => code::QUEUE_FULL,
            _ => code::BAD_BUFFER,
        })?;
        *slot = Some(job);
        self.live += 1;
        Ok(())
    }

    /// Where the job with this number is.
    pub fn find(&self, number: u32) -> Option<usize> {
        let known = |job: &Job| job.request.job == number && job.stop != Some(ABANDONED);
        self.jobs().find(|(_, job)| known(job)).map(|(place, _)| place)
    }

    /// Ends a job at its client's or the operator's wish.
    pub fn cancel(&mut self, place: usize, now_ns: u64) {
        let Some(job) = self.job(place) else { return };
        if matches!(job.state, State::Active(_)) {
            if job.stop != Some(ABANDONED) {
                job.stop = Some(code::CANCELLED);
            }
        } else {
            if job.state == State::Waiting {
                // It is not about a run.
                (job.queued_ns, job.started_ns, job.spent) = (now_ns, 0, Spent::default());
            }
            let result = job.result(0, now_ns, 0);
            self.end(place, code::CANCELLED, result, now_ns);
        }
    }

    /// Releases a job whose time has come; without room for the reply of a run, the run is left out.
    pub fn release(&mut self, place: usize, now_ns: u64) {
        let needed = self.promised() + 1;
        let room = self.link.reserve(needed).unwrap_or(false);
        let missed = &mut self.counts.missed;
        let Some(job) = self.jobs[place].as_mut() else { return };
        let before = job.missed;
        if room || !job.is_periodic() {
            job.release(now_ns);
        } else {
            job.rest(now_ns);
        }
        *missed += u64::from(job.missed - before);
    }

    /// A job, or a run of a periodic one, is over, and nothing touches its tensors any more.
    pub fn end(&mut self, place: usize, code: u32, mut result: JobResult, now_ns: u64) {
        let Some(job) = self.jobs.get_mut(place).and_then(Option::as_mut) else { return };
        let counts = &mut self.counts;
        let counter = match code {
            code::DONE => &mut counts.done,
            code::CANCELLED => &mut counts.cancelled,
            code::TIMED_OUT => &mut counts.timed_out,
            ABANDONED => &mut counts.abandoned,
            _ => &mut counts.faulted,
        };
        *counter += 1;
        if code == code::DONE {
            result.output = job.request.output;
        }
        let goes_on = job.is_periodic() && !matches!(code, code::CANCELLED | ABANDONED);
        if goes_on {
            job.runs = job.runs.wrapping_add(1);
            counts.missed += job.rest(now_ns);
            result.missed = job.missed;
        }
        result.run = job.runs;
        let job = *job;
        if !goes_on {
            self.jobs[place] = None;
            self.live -= 1;
            for span in job.spans() {
                // It was taken when the job was accepted.
                let _ = self.buffers.give_back(span);
            }
        }
        if code != ABANDONED {
            let mut reply = Reply::new(&job.request, code).with_body(&result);
            reply.kind = if goes_on { kind::RUN } else { kind::SUBMIT };
            self.reply(&reply);
        }
    }

    pub fn reply(&mut self, reply: &Reply) {
        // There was room when the request was taken, or the run released; a client that restarted since has nobody to read it.
        let _ = self.link.push(reply);
    }
}
