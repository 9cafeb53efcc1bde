public import Formats

/// Why a run cannot go on, or cannot begin.
public enum HealingError: Diagnosis, Equatable {
    /// A number that steers the run became infinite or not a number.
    case notFinite(what: String, step: Int)
    /// A run with this output was begun and not ended.
    case unfinishedRun(folder: String, step: Int)
    /// The run that is to be resumed was asked for something else.
    case otherRun(folder: String, differences: [String])
    /// What was kept of a run cannot be read or written.
    case badRunState(path: String, reason: String)
    /// The model's result would lie where something is already.
    case outputExists(path: String)

    /// Whose fault it is.
    public var fault: Fault {
        switch self {
        case .notFinite: .run
        case .unfinishedRun, .otherRun, .outputExists: .usage
        case .badRunState: .input
        }
    }

    /// What is wrong and what to do.
    public var description: String {
        switch self {
        case .notFinite(let what, let step):
            """
            step \(step): the \(what) is not a finite number; the model diverged. The checkpoint before it is \
            kept: run again with a lower --lr or a longer --warmup
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
        case .outputExists(let path):
            "\(path) exists already; name another output with -o, or replace it with --force"
        }
    }
}
