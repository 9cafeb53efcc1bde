internal import Formats

/// Writes down what happens in a run, as it happens.
protocol RunReporter: AnyObject {
    /// Writes what belongs to an event; what could not be written before, with it.
    func note(_ event: TrainingEvent) throws
}

/// Passes what happens on to those who write it down, and then to who asked for the run.
final class RunReporters {
    private var writers: [(writer: any RunReporter, hasFailed: Bool)]
    private let notify: (TrainingEvent) -> Void

    /// Those who are told.
    init(_ writers: [any RunReporter], notify: @escaping (TrainingEvent) -> Void) {
        self.writers = writers.map { ($0, false) }
        self.notify = notify
    }

    /// Tells all of an event.
    ///
    /// A report is not worth a run: of one that fails it is told once.
    func tell(_ event: TrainingEvent) {
        for index in writers.indices {
            do { try writers[index].writer.note(event) } catch {
                let isNew = !writers[index].hasFailed
                writers[index].hasFailed = true
                guard isNew else { continue }
                tell(
                    .notLogged(
                        step: event.step ?? 0, reason: (error as? UserFacingError)?.description ?? "\(error)")
                )
            }
        }
        notify(event)
    }
}

extension TrainingEvent {
    /// The step after which it happened; nil before the first and while the result is being written.
    var step: Int? {
        switch self {
        case .started(let step, _, _, _), .stage(_, _, _, let step, _), .evaluated(_, let step, _),
            .drifted(let step, _), .exposed(let step, _), .healed(let step, _), .skipped(let step, _, _),
            .rolledBack(_, let step, _, _), .kept(let step, _), .notKept(let step, _),
            .notLogged(let step, _), .ended(let step, _):
            step
        case .step(let report): report.step
        case .finished(let outcome): outcome.step
        case .parent, .noParent, .writing: nil
        }
    }
}
