import ArgumentParser
import CommandLineSupport
import Formats
import Foundation
import Testing

@Suite("Interruption", .serialized)
struct InterruptionTests {
    @Test(
        arguments: [(SIGINT, 130), (SIGTERM, 143), (SIGHUP, 129), (SIGUSR1, 138), (SIGXCPU, 152)]
            as [(Int32, Int32)])
    func aSignalIsNotedOnce(number: Int32, exitCode: Int32) throws {
        Interruption.watch()
        #expect(Interruption.signal == nil)
        // To the process, not to this thread, which may block signals; another takes it before long.
        kill(getpid(), number)
        for _ in 0..<1000 where Interruption.signal == nil { usleep(1000) }
        #expect(Interruption.signal == StopSignal(number: number))
        #expect(StopSignal(number: number).exitCode == exitCode)
        #expect(throws: ExitCode(exitCode)) { try runReportingErrors { throw UserFacingError.interrupted } }
        Interruption.watch()
        #expect(Interruption.signal == nil)
    }
}
