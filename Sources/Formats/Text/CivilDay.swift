/// A day of the Gregorian calendar, which is extended before its time.
///
/// Source: H. Hinnant, chrono-Compatible Low-Level Date Algorithms, `civil_from_days`.
package struct CivilDay: Sendable, CustomStringConvertible {
    /// Year, month from 1 and day from 1.
    package let year, month, day: Int

    /// The day that is so many days behind 1970-01-01.
    package init(sinceEpoch number: Int) {
        // Years begin in March, so that the day that not all of them have is the last.
        let (era, place) = Self.divided(number &+ 719_468, by: 146_097)
        let yearOfEra = (place - place / 1460 + place / 36_524 - place / 146_096) / 365
        let dayOfYear = place - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let part = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * part + 2) / 5 + 1
        month = part < 10 ? part + 3 : part - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// As `2024-05-17`.
    package var description: String { "\(Self.padded(year, 4))-\(Self.padded(month))-\(Self.padded(day))" }

    /// A moment as `2024-05-17T10:00:00`; parts of a second follow a dot where there are some.
    static func moment(_ number: Int, perSecond: Int) -> String {
        let (seconds, part) = divided(number, by: perSecond)
        let (day, second) = divided(seconds, by: 86_400)
        var fraction = part == 0 ? "" : "." + padded(part, "\(perSecond)".count - 1)
        while fraction.hasSuffix("0") { fraction.removeLast() }
        let time = [second / 3600, second / 60 % 60, second % 60].map { padded($0) }.joined(separator: ":")
        return "\(CivilDay(sinceEpoch: day))T\(time)\(fraction)"
    }

    /// The quotient, rounded down, and what is left, which is not negative.
    private static func divided(_ number: Int, by divisor: Int) -> (Int, Int) {
        let rest = number % divisor
        return rest < 0 ? (number / divisor - 1, rest + divisor) : (number / divisor, rest)
    }

    private static func padded(_ number: Int, _ count: Int = 2) -> String {
        let digits = "\(number.magnitude)"
        return (number < 0 ? "-" : "") + String(repeating: "0", count: max(0, count - digits.count)) + digits
    }
}
