package import Formats
internal import Foundation

/// A Python that has what the worker needs.
package struct PythonEnvironment: Sendable, Equatable {
    /// Its program.
    package let path: String
    /// The versions of Python, PyTorch and transformers.
    package let python: String, torch: String, transformers: String

    /// What the worker needs at least.
    static let needed = [("Python", [3, 10]), ("torch", [2, 6]), ("transformers", [5, 0])]

    /// What was found, in a line.
    package var line: String { "Python \(python), torch \(torch), transformers \(transformers) (\(path))" }

    /// Finds a Python and asks it for its versions.
    ///
    /// - Parameters:
    ///   - given: its program; nil for the one that the first torchrun on PATH is of.
    ///   - searchPath: the folders of programs, divided by colons.
    /// - Returns: the Python, its versions checked.
    /// - Throws: ``UserFacingError`` that says what is not there, or too old.
    package static func find(
        _ given: String?,
        searchPath: String = ProcessInfo.processInfo.environment["PATH"] ?? ""
    ) throws(UserFacingError) -> PythonEnvironment {
        let path = if let given { given } else { try ofTorchrun(searchPath) }
        let script = """
            import importlib.metadata as m, platform
            def version(name):
                try: return m.version(name)
                except m.PackageNotFoundError: return "none"
            print(platform.python_version(), version("torch"), version("transformers"))
            """
        guard let printed = output(of: path, ["-c", script]) else {
            throw UserFacingError(
                .missing, "\(path) is no Python that can be started; name another with --python")
        }
        return try read(printed, of: path)
    }

    /// Reads what a Python said of its versions.
    static func read(_ printed: String, of path: String) throws(UserFacingError) -> PythonEnvironment {
        let words = printed.split(whereSeparator: \.isWhitespace).map(String.init)
        guard words.count == 3 else {
            throw UserFacingError(
                .missing, "\(path) is no Python that can be started; name another with --python")
        }
        for (version, (name, least)) in zip(words, needed) {
            let text = least.map(String.init).joined(separator: ".")
            guard version != "none" else {
                throw UserFacingError(
                    .missing,
                    "\(path) has no \(name); install \(name) \(text) or newer there, or name another Python with --python"
                )
            }
            let numbers = version.split { !$0.isNumber }.prefix(2).map { Int($0) ?? 0 }
            guard !numbers.lexicographicallyPrecedes(least) else {
                throw UserFacingError(
                    .unsupported,
                    "\(path) has \(name) \(version), and the worker needs \(text) or newer; name another Python with --python"
                )
            }
        }
        return PythonEnvironment(path: path, python: words[0], torch: words[1], transformers: words[2])
    }

    /// The Python that stands in the first line of torchrun.
    private static func ofTorchrun(_ searchPath: String) throws(UserFacingError) -> String {
        let folders = searchPath.split(separator: ":").map(String.init)
        func program(_ name: String) -> String? {
            folders.lazy.map { Path.join($0, name) }.first { FileSystem.kind(of: $0) == .file }
        }
        guard let torchrun = program("torchrun") else {
            throw UserFacingError(
                .missing,
                """
                there is no torchrun on PATH; install torch and transformers with pip into a virtual environment and name its \
                Python with --python
                """)
        }
        let bytes = try InputFile(path: torchrun).bytes()
        let line = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        let words = line.dropFirst(2).split(separator: " ").map(String.init)
        let python =
            words.first?.hasSuffix("/env") == true ? words.dropFirst().first.flatMap(program) : words.first
        guard line.hasPrefix("#!"), let python, Path.name(python).hasPrefix("python") else {
            throw UserFacingError(
                .unsupported,
                "\(torchrun) does not say in its first line which Python it is of; name it with --python")
        }
        return python
    }

    /// What a program prints; nil where it can't be started or fails.
    private static func output(of program: String, _ arguments: [String]) -> String? {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        let pipe = Pipe()
        (process.standardOutput, process.standardError) = (pipe, FileHandle.nullDevice)
        guard (try? process.run()) != nil else { return nil }
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return process.terminationStatus == 0 ? String(decoding: data, as: UTF8.self) : nil
    }
}
