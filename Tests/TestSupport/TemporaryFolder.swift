package import Foundation

/// A folder of its own for a test, removed when the last value on it goes away.
package final class TemporaryFolder: Sendable {
    /// Where it is.
    package let path: String

    /// Makes one.
    package init() throws {
        let url = FileManager.default.temporaryDirectory.appending(path: "surgery-tests-\(UUID())")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path()
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Where it is, as a URL.
    package var url: URL { URL(filePath: path, directoryHint: .isDirectory) }

    /// The path of something in it.
    package func path(_ name: String) -> String { path + "/" + name }

    /// Writes a file, also over one that is there, and returns its path.
    @discardableResult
    package func write(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
        try Data(bytes).write(to: URL(filePath: path(name)))
        return path(name)
    }

    /// Writes a file, also over one that is there, and returns its path.
    @discardableResult
    package func write(_ name: String, _ text: String) throws -> String { try write(name, text.utf8) }

    /// Makes a folder in it.
    package func makeFolder(_ name: String) throws {
        try FileManager.default.createDirectory(atPath: path(name), withIntermediateDirectories: false)
    }

    /// Copies a folder from elsewhere, and returns its path here.
    package func copy(of folder: String, as name: String) throws -> String {
        try FileManager.default.copyItem(atPath: folder, toPath: path(name))
        return path(name)
    }

    /// The bytes of a file.
    package func bytes(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: path(name))))
    }

    /// The names of what is in a folder, sorted.
    package func names(_ name: String = ".") throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path(name)).sorted()
    }
}
