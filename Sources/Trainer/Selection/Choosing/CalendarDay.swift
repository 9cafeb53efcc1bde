internal import Formats

/// A day of the Gregorian calendar.
public struct CalendarDay: Sendable, Comparable, CustomStringConvertible {
    /// Days since 1970-01-01.
    public let number: Int

    init(number: Int) { self.number = number }

    /// A day; nil where there is none such.
    init?(year: Int, month: Int, day: Int) {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard (1...9999).contains(year), (1...12).contains(month), (1...lengths[month - 1]).contains(day)
        else {
            return nil
        }
        let before = year - 1
        let leaps = before / 4 - before / 100 + before / 400
        number = before * 365 + leaps + lengths[..<(month - 1)].reduce(0, +) + day - 1 - Self.epoch
    }

    /// The days before 1970.
    private static let epoch = 719_162

    /// The days that a text names: a year, a month or a day.
    ///
    /// As `2024`, `2024-05`, `2024-05-17`, `2024/5/17` or `20240517`. What stands behind a `T` or a space, such as a time, is not
    /// looked at.
    ///
    /// - Parameter text: what was written.
    /// - Returns: the first and the last; nil where it names none.
    public static func range(named text: String) -> ClosedRange<CalendarDay>? {
        let date = text.prefix { $0 != "T" && $0 != " " }
        guard date.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x2F }) else {
            return nil
        }
        var parts = date.split(omittingEmptySubsequences: false) { $0 == "-" || $0 == "/" }.map(String.init)
        if parts.count == 1, parts[0].count == 8 {
            parts = [String(date.prefix(4)), String(date.dropFirst(4).prefix(2)), String(date.suffix(2))]
        }
        let numbers = parts.compactMap { Int($0) }
        guard numbers.count == parts.count, (1...3).contains(parts.count), parts[0].count == 4,
            parts.dropFirst().allSatisfy({ (1...2).contains($0.count) }),
            parts.count == 3 || date.count == text.count
        else { return nil }
        let (first, last) = (numbers + [1, 1], numbers.count == 1 ? numbers + [12] : numbers)
        guard let start = CalendarDay(year: first[0], month: first[1], day: first[2]) else { return nil }
        let ends = numbers.count == 3 ? [numbers[2]] : [31, 30, 29, 28]
        return ends.lazy.compactMap { CalendarDay(year: last[0], month: last[1], day: $0) }.first.map {
            start...$0
        }
    }

    /// The day of a document's date; nil where it can't be read.
    ///
    /// Of what a text names the first day. A whole number of four digits is a year, and one of eight the digits of a day; other
    /// numbers are seconds, milliseconds, microseconds or nanoseconds since 1970 where that is a day of 1973 to 2286, which no number
    /// is in two ways. The day is that which is written, in whatever zone.
    init?(_ value: JSON) {
        if let text = value.string {
            guard let first = Self.range(named: text)?.lowerBound else { return nil }
            self = first
        } else if let number = value.double, number.isFinite {
            let perSecond: [Double] = [1, 1e3, 1e6, 1e9]
            if let unit = perSecond.first(where: { ($0 * 1e8..<$0 * 1e10).contains(number) }) {
                self.init(number: Int(number / unit / 86_400))
            } else if let digits = Int(exactly: number), digits > 0, let days = Self.range(named: "\(digits)")
            {
                self = days.lowerBound
            } else {
                return nil
            }
        } else {
            return nil
        }
    }

    /// Its year.
    public var year: Int { CivilDay(sinceEpoch: number).year }

    /// As `2024-05-17`.
    public var description: String { CivilDay(sinceEpoch: number).description }

    /// Whether a day is earlier than another.
    public static func < (one: CalendarDay, other: CalendarDay) -> Bool { one.number < other.number }
}

/// The dates that documents have, and those that are wanted.
public struct DocumentDates: Sendable {
    /// The key of a document's date; a dot leads into an object inside.
    public var field: String { didSet { key = DocumentField(field) } }
    /// The first and the last day that is kept; nil where there is no such end.
    public var since, until: CalendarDay?

    /// Dates under a key.
    public init(field: String) { (self.field, key) = (field, DocumentField(field)) }

    private var key: DocumentField

    /// What a document says of its date.
    enum Finding {
        case day(CalendarDay)
        case missing, unreadable
    }

    /// Looks for the date of a document.
    func date(of document: SelectionRun.Document) -> Finding {
        guard let value = key.value(of: document.place, in: document.batch), !value.isNull
        else {
            return .missing
        }
        return CalendarDay(value).map { .day($0) } ?? .unreadable
    }

    /// Why a document of such a date is dropped, and its year; nil where it is not.
    func verdict(_ finding: Finding) -> (reason: Reason.Other, year: Int)? {
        guard since != nil || until != nil else { return nil }
        switch finding {
        case .missing: return (.undated, 0)
        case .unreadable: return (.unreadableDate, 0)
        case .day(let day):
            if let since, day < since { return (.tooOld, day.year) }
            if let until, day > until { return (.tooNew, day.year) }
            return nil
        }
    }

    var json: JSON {
        [
            "field": .string(field), "since": since.map { .string($0.description) } ?? .null,
            "until": until.map { .string($0.description) } ?? .null,
        ]
    }
}
