import Foundation
import Formats
import Testing

/// A run of one of the built commands.
struct CommandRun {
    /// Its exit code.
    let code: Int32
    /// What it printed for programs.
    let output: String
    /// What it printed for people.
    let messages: String

    /// Runs a command to its end.
    ///
    /// - Parameters:
    ///   - arguments: what it is given.
    ///   - command: the product's name.
    ///   - folder: where it runs.
    ///   - environment: variables that it has besides those of the tests.
    ///   - input: what its standard input reads.
    /// - Throws: why it could not be started.
    init(
        _ arguments: [String], of command: String = "surgery", in folder: URL,
        environment: [String: String] = [:], input: FileHandle = .nullDevice
    ) throws {
        let process = Process()
        process.executableURL = Self.products.appending(path: command)
        process.arguments = arguments
        process.currentDirectoryURL = folder
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
        // A file, because what is read last of two pipes may not fit into its pipe's buffer.
        let messages = FileManager.default.temporaryDirectory.appending(path: "messages-\(UUID())")
        try Data().write(to: messages)
        defer { try? FileManager.default.removeItem(at: messages) }
        let output = Pipe()
        process.standardOutput = output
        process.standardError = try FileHandle(forWritingTo: messages)
        process.standardInput = input
        try process.run()
        self.output = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        code = process.terminationStatus
        self.messages = String(decoding: try Data(contentsOf: messages), as: UTF8.self)
    }

    /// What it printed for programs, read.
    func json() throws -> JSON {
        try JSON(parsing: Array(output.utf8), file: "standard output")
    }

    /// The folder of the built products, in which the tests lie, too.
    private static var products: URL {
        URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    }
}
