import CommandLineSupport
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
        try Interruption.check(advice: "go on")
        // To the process, not to this thread, which may block signals; another takes it before long.
        kill(getpid(), number)
        for _ in 0..<1000 where Interruption.signal == nil { usleep(1000) }
        #expect(Interruption.signal == expected)
        #expect(expected.exitCode == exitCode)
        let error = #expect(throws: Interrupted.self) { try Interruption.check(advice: "go on") }
        #expect(error?.description == "stopped: go on")
        Interruption.watch()
        #expect(Interruption.signal == nil)
    }
}
