import ArgumentParser
import CommandLineSupport
import Formats
import Foundation
import Testing

@Suite("Interruption", .serialized)
struct InterruptionTests {
    @Test(
        arguments: [(SIGINT, StopSignal.interrupt, 130), (SIGTERM, .terminate, 143)]
            as [(Int32, StopSignal, Int32)])
    func aSignalIsNotedOnce(number: Int32, expected: StopSignal, exitCode: Int32) throws {
        Interruption.watch()
        #expect(Interruption.signal == nil)
        // To the process, not to this thread, which may block signals; another takes it before long.
        kill(getpid(), number)
        for _ in 0..<1000 where Interruption.signal == nil { usleep(1000) }
        #expect(Interruption.signal == expected)
        #expect(expected.exitCode == exitCode)
        #expect(throws: ExitCode(exitCode)) { try runReportingErrors { throw UserFacingError.interrupted } }
        Interruption.watch()
        #expect(Interruption.signal == nil)
    }
}
