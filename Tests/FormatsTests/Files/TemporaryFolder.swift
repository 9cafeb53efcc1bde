import Glibc

@testable import Formats

/// A folder of its own for a test, removed when the test is over.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = "/tmp/formats-tests-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
        try Folder.create(path)
    }

    deinit { try? Folder.remove(path) }

    func path(_ name: String) -> String { Path.join(path, name) }

    func write(_ name: String, _ bytes: [UInt8]) throws {
        let file = try OutputFile(path: path(name))
        try file.truncate(to: 0)
        try unsafe file.write(bytes.span.bytes, at: 0)
    }

    func write(_ name: String, _ text: String) throws { try write(name, Array(text.utf8)) }

    func makeFolder(_ name: String) throws { try Folder.create(path(name)) }

    func bytes(_ name: String) throws -> [UInt8] { try SourceFile(path: path(name)).bytes() }

    func names(_ name: String = ".") throws -> [String] { try Folder.names(path(name)) }
}
