import Foundation
import TestSupport
import Testing

@testable import Formats

@Suite("Files that are whole or not there")
struct AtomicFileTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func hasItsNameWhenItIsWhole() throws {
        try folder.write("a", "old")
        let file = try AtomicFile(path: folder.path("a"))
        try unsafe file.write(Array("new text".utf8).span.bytes, at: 0)
        #expect(try folder.names() == ["a", "a.partial"])
        #expect(try folder.bytes("a") == Array("old".utf8))
        try file.publish()
        #expect(try folder.names() == ["a"] && folder.bytes("a") == Array("new text".utf8))
    }

    @Test func nothingIsLeftOfWhatWasNotFinished() throws {
        try folder.write("a", "old")
        do {
            let file = try AtomicFile(path: folder.path("a"))
            try unsafe file.write(Array("new".utf8).span.bytes, at: 0)
        }
        #expect(try folder.names() == ["a"] && folder.bytes("a") == Array("old".utf8))
    }

    /// What a killed process leaves is no part of the next file.
    @Test func replacesWhatAKilledProcessLeft() throws {
        try folder.write("a.partial", "a long text of which nothing stays")
        let file = try AtomicFile(path: folder.path("a"))
        try unsafe file.write(Array("new".utf8).span.bytes, at: 0)
        try file.publish()
        #expect(try folder.names() == ["a"] && folder.bytes("a") == Array("new".utf8))
    }

    /// The one that comes second must not take the first one's file away.
    @Test func isMadeByOneAtATime() throws {
        let file = try AtomicFile(path: folder.path("a"))
        let error = #expect(throws: UserFacingError.self) { _ = try AtomicFile(path: folder.path("a")) }
        #expect(error == .file(.lock, folder.path("a.partial"), code: EWOULDBLOCK))
        #expect(try folder.names() == ["a.partial"])
        try file.publish()
        #expect(try folder.names() == ["a"])
    }

    @Test func saysWhereItCannotBe() throws {
        let path = folder.path("none/a")
        let error = #expect(throws: UserFacingError.self) { _ = try AtomicFile(path: path) }
        #expect(error == .file(.create, path + ".partial", code: ENOENT))
    }
}
