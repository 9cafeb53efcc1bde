internal import Foundation
internal import Logging

/// The libraries' diagnostics, printed on standard error from the level on that the environment names.
enum DiagnosticLog {
    /// The environment variable that names the least level, as in `MODEL_SURGERY_LOG=debug`.
    static let variable = "MODEL_SURGERY_LOG"

    /// Logging is set up once a process, which may run many commands.
    private static let isStarted: Bool = {
        let text = ProcessInfo.processInfo.environment[variable]
        let named = level(named: text)
        if let text, named == nil {
            let names = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            warn("\(variable) is '\(text)', and one of \(names) is expected")
        }
        LoggingSystem.bootstrap { _ in StandardErrorLog(logLevel: named ?? .warning) }
        return true
    }()

    /// Has whatever the libraries log from now on printed.
    static func start() { _ = isStarted }

    /// The level of a name, `warning` when there is none; nil for a name that no level has.
    static func level(named name: String?) -> Logger.Level? {
        guard let name, !name.isEmpty else { return .warning }
        return Logger.Level(rawValue: name.lowercased())
    }
}

/// Prints what is logged on standard error, a line each: `info: went on with an earlier write (bytes: 4096)`.
struct StandardErrorLog: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { report(line(for: event)) }

    /// What is printed of an event.
    func line(for event: LogEvent) -> String {
        let values = metadata.merging(event.metadata ?? [:]) { _, new in new }
        let details = values.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
        return "\(event.level): \(event.message)"
            + (details.isEmpty ? "" : " (\(details.joined(separator: ", ")))")
    }
}
