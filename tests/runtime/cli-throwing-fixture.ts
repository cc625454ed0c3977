/** A module that cannot be loaded. */
throw new TypeError("this module is broken");
