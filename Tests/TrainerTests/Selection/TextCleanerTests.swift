import Formats
import Testing

@testable import Trainer

@Suite struct TextCleanerTests {
    private func cleaned(_ text: String, _ settings: SelectionSettings.Cleaning) -> (
        String, TextCleaner.Counts
    ) {
        var counts = TextCleaner.Counts()
        let clean = TextCleaner(settings).normalized(Array(text.utf8), counting: &counts)
        return (String(decoding: clean, as: UTF8.self), counts)
    }

    @Test(arguments: [
        ("a\r\nb\rc\u{2028}d", "a\nb\nc\nd", 3), ("\u{FEFF}x\u{0}y\u{200B}z\u{7F}\u{9F}", "xyz", 5),
        ("tab\tline\n", "tab\tline\n", 0),
        ("가\u{AD}나 café 👩‍👩‍👧", "가나 café 👩‍👩‍👧", 1),
    ])
    func controlCharactersGo(text: String, clean: String, count: Int) {
        let (found, counts) = cleaned(text, .controls)
        #expect(Array(found.utf8) == Array(clean.utf8))
        #expect(counts.controls == count)
    }

    @Test(arguments: [
        ("<p>One &amp; two</p><p>three</p>", "One & two\nthree\n"), ("a < b and c > d", "a < b and c > d"),
        ("x<!-- no -->y<br/>z", "xy\nz"), ("<script>var a = '<b>';</script>text", "text"),
        ("&#48;&#x41;&nope;&", "0A&nope;&"),
        ("List<String> <unknown>", "List<String> <unknown>"), ("<b", "<b"),
        ("<a href=\"x\">link</a>", "link"),
    ])
    func remainsOfHTMLGo(text: String, clean: String) {
        #expect(cleaned(text, .html).0.trimmingPrefix("\n") == clean)
    }

    @Test(arguments: [
        ("Write to jane.doe+x@mail.example.co.kr, please.", "Write to [mail], please."),
        ("전화 010-1234-5678 또는 02-123-4567로", "전화 [telephone] 또는 [telephone]로"),
        ("주민번호 900101-1234567, 끝", "주민번호 [resident number], 끝"),
        ("Call (212) 555-0123 or 212-555-0123.", "Call [telephone] or [telephone]."),
        ("+82 10 1234 5678; +1-202-555-0143", "[telephone]; [telephone]"), ("01012345678", "[telephone]"),
        (
            "2024-01-15 12:30:00, 3.141592653, 1,000,000, 192.168.10.10",
            "2024-01-15 12:30:00, 3.141592653, 1,000,000, 192.168.10.10"
        ),
        (
            "991332-1234567 123456789012345 a@b @home v1.2.3",
            "991332-1234567 123456789012345 a@b @home v1.2.3"
        ),
        ("ISBN 978-3-16-148410-0", "ISBN 978-3-16-148410-0"),
    ])
    func personalDataAreMasked(text: String, clean: String) {
        #expect(cleaned(text, .personal).0 == clean)
    }

    /// Bytes that mean nothing harm nothing.
    @Test func anythingIsCleaned() {
        var generator = MersenneTwister(seed: 9)
        let alphabet = Array(
            "<>&;#@.-+() 0123456789abcdp/!\r\n\u{0}\u{200B}\u{FFFD}가힣é😀\u{1100}\u{FEFF}".unicodeScalars)
        var counts = TextCleaner.Counts()
        let cleaner = TextCleaner([.controls, .html, .personal])
        var measured = MeasuredText()
        var shingler = Shingler()
        for _ in 0..<2000 {
            var text = String.UnicodeScalarView()
            for _ in 0..<generator.next(from: 0, below: 1 << 40) % 60 {
                text.append(alphabet[Int(generator.next(from: 0, below: 1 << 40)) % alphabet.count])
            }
            let clean = cleaner.normalized(Array(String(text).utf8), counting: &counts)
            #expect(String(validating: clean, as: UTF8.self) != nil)
            measured.set(clean)
            for rule in SelectionRule.published { #expect(!measured.value(of: rule.measure).isNaN) }
            _ = shingler.shingles(of: clean, isHangul: true)
        }
        #expect(counts.controls > 1000 && counts.replacements > 100)
    }
}
