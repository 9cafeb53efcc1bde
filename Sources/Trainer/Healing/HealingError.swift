public import Formats

/// Why a run cannot go on, or cannot begin.
public enum HealingError: UserFacingError, Equatable {
    /// A number that steers the run became infinite or not a number.
    case notFinite(what: String, step: Int)
    /// A run with this output was begun and not ended.
    case unfinishedRun(folder: String, step: Int)
    /// The run that is to be resumed was asked for something else.
    case otherRun(folder: String, differences: [String])
    /// What was kept of a run cannot be read or written.
    case badRunState(path: String, reason: String)
    /// Another process carries out the same run.
    case busy(folder: String)
    /// The run takes more memory than there is; `fitting` are the options with which it would not.
    case tooLittleMemory(needed: Int, available: Int, fitting: [String])
    /// It was stopped; `kept` is the step that the run is kept at, nil when nothing is kept.
    case interrupted(kept: Int?)
    /// The log's folder is not there.
    case noLogFolder(log: String)
    /// The log would replace a file that is no log.
    case notALog(path: String)

    /// Whose fault it is.
    public var fault: Fault {
        switch self {
        case .notFinite, .tooLittleMemory, .busy, .interrupted: .run
        case .unfinishedRun, .otherRun, .noLogFolder, .notALog: .usage
        case .badRunState: .input
        }
    }

    /// What is wrong and what to do.
    public var description: String {
        switch self {
        case .notFinite(let what, let step):
            """
            step \(step): the \(what) is not a finite number; the model diverged. Run again with a lower --lr or a \
            longer --warmup
            """
        case .unfinishedRun(let folder, let step):
            """
            \(folder) holds a run that was stopped after step \(step); add --resume to go on with it, or --force \
            to begin again
            """
        case .otherRun(let folder, let differences):
            """
            \(folder) holds a run with other settings: \(differences.joined(separator: "; ")). Resume it with its \
            own settings, or add --force without --resume to begin again
            """
        case .badRunState(let path, let reason):
            "\(path): \(reason); begin again with --force and without --resume"
        case .busy(let folder):
            "\(folder): another process carries out this run; wait for it, or name another output with -o"
        case .tooLittleMemory(let needed, let available, let fitting):
            """
            the run takes about \(needed / 1_000_000) MB of memory, and \(available / 1_000_000) MB are available; \
            \(fitting.isEmpty ? "no option would make it fit: take a shorter --length, or another machine" : "it would fit with \(fitting.joined(separator: ", or "))")
            """
        case .interrupted(nil): "stopped; nothing is kept"
        case .interrupted(let step?): "stopped; step \(step) of the run is kept, and --resume goes on with it"
        case .noLogFolder(let log): "\(log): its folder is not there; make it, or name another --log"
        case .notALog(let path):
            "\(path) exists and is no log of steps; name another --log"
        }
    }
}
