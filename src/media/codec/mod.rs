//! What each codec needs: reading and checking configurations, and the strings that name them.
