import ArgumentParser
import Formats
import Foundation
import Logging
import Testing

@testable import CommandLineSupport

@Suite("Errors and diagnostics of a command")
struct ErrorReportingTests {
    @Test(
        arguments: [
            (.malformed, 2), (.unreadable(code: ENOENT), 2), (.system(code: EIO), 1), (.resources, 1),
            (.request, 64),
            (.interrupted, 75),
        ] as [(UserFacingError.Kind, Int32)])
    func anErrorEndsByItsFault(kind: UserFacingError.Kind, code: Int32) {
        #expect(throws: ExitCode(code)) {
            try runReportingErrors { throw UserFacingError(kind, "it is broken") }
        }
    }

    @Test func anyOtherErrorIsOneLineAndOne() {
        let missing = CocoaError(.fileReadNoSuchFile)
        #expect(throws: ExitCode(1)) { try runReportingErrors { throw missing } }
        #expect(!line(describing: missing).isEmpty && !line(describing: missing).contains("CocoaError"))
        struct Plain: Error, CustomStringConvertible { let description = "two\nlines" }
        #expect(line(describing: Plain()) == "two lines")
    }

    @Test func theParsersOwnErrorsAreLeftToIt() {
        #expect(throws: ExitCode(7)) { try runReportingErrors { throw ExitCode(7) } }
        #expect(throws: ValidationError.self) { try runReportingErrors { throw ValidationError("no") } }
    }

    @Test(arguments: [
        (String?.none, "warning"), ("", "warning"), ("debug", "debug"), ("INFO", "info"), ("loud", "none"),
    ])
    func levels(name: String?, level: String) {
        #expect(DiagnosticLog.level(named: name)?.rawValue ?? "none" == level)
    }

    @Test func diagnosticsGoToStandardErrorFromTheLevelOn() throws {
        let folder = try ModelFolder()
        try Data().write(to: folder.model.appending(path: "old.bin"))
        func messages(_ level: String) throws -> String {
            let run = try CommandRun(
                ["dus", "base", "--to", "6", "-o", "out", "--force", "--json"], in: folder.url,
                environment: ["MODEL_SURGERY_LOG": level])
            #expect(run.code == 0, "\(run.messages)")
            _ = try run.json()
            return run.messages
        }
        #expect(try messages("debug").contains("debug: left out (file: old.bin, reason: "))
        #expect(try !messages("info").contains("debug:"))
        #expect(
            try messages("loud").contains("warning: MODEL_SURGERY_LOG is 'loud', and one of trace, debug,"))
    }
}
